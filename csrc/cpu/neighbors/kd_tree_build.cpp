#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <vector>

#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"
#include "ops/neighbors/kd_tree.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kLocalRows = 4096;  // of a node that is copied, so that they lie together

// A value and an index as one integer that orders as the pair does, values of any sign.
std::uint64_t value_key(float value, std::int32_t index) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits ^= bits >> 31 != 0 ? 0xffffffffu : 0x80000000u;
  return (static_cast<std::uint64_t>(bits) << 32) | static_cast<std::uint32_t>(index);
}

// The rows of a node: their places in `order`, which name rows of `values`.
struct Rows {
  const float* values;
  std::int32_t* order;
  std::uint64_t* keys;
  std::int64_t size;
};

Rows rows_of(const KdTree& tree, const Rows& all, const KdNode& node) {
  const std::int64_t first = node.first * kLeafRows;
  const std::int64_t last = std::min(tree.n, (node.first + node.count) * kLeafRows);
  return {all.values, all.order + first, all.keys + first, last - first};
}

void set_box(const KdTree& tree, const KdNode& node, const Rows& rows) {
  float *const low = node.low(tree), *const high = node.high(tree);
  std::fill_n(low, tree.dim, std::numeric_limits<float>::infinity());
  std::fill_n(high, tree.dim, -std::numeric_limits<float>::infinity());
  for (std::int64_t i = 0; i < rows.size; ++i) {
    const float* const row = rows.values + rows.order[i] * tree.dim;
    for (std::int64_t c = 0; c < tree.dim; ++c) {
      low[c] = std::min(low[c], row[c]);
      high[c] = std::max(high[c], row[c]);
    }
  }
}

// Puts the rows of a node's first half before the others, by the column of the largest extent.
void split(const KdTree& tree, const KdNode& node, const Rows& rows) {
  const float *const low = node.low(tree), *const high = node.high(tree);
  std::int64_t widest = 0;
  for (std::int64_t c = 1; c < tree.dim; ++c) {
    if (high[c] - low[c] > high[widest] - low[widest]) widest = c;
  }
  for (std::int64_t i = 0; i < rows.size; ++i) {
    rows.keys[i] = value_key(rows.values[rows.order[i] * tree.dim + widest], rows.order[i]);
  }
  std::nth_element(rows.keys, rows.keys + node.left().count * kLeafRows, rows.keys + rows.size);
  for (std::int64_t i = 0; i < rows.size; ++i) {
    rows.order[i] = static_cast<std::int32_t>(rows.keys[i]);
  }
}

void write_leaf(const KdTree& tree, const KdNode& leaf, const Rows& rows) {
  std::sort(rows.order, rows.order + rows.size);
  float* const values = tree.values + leaf.first * tree.dim * kLeafRows;
  if (rows.size < kLeafRows) std::fill_n(values, tree.dim * kLeafRows, 0.0f);
  for (std::int64_t i = 0; i < rows.size; ++i) {
    const float* const row = rows.values + rows.order[i] * tree.dim;
    for (std::int64_t c = 0; c < tree.dim; ++c) values[c * kLeafRows + i] = row[c];
  }
}

// A node whose rows lie together, and all below it.
void build_subtree(const KdTree& tree, const KdNode& node, const Rows& all, std::int64_t first) {
  const KdNode here{node.number, node.box, node.first - first, node.count};
  const Rows rows = rows_of({nullptr, nullptr, nullptr, all.size, tree.dim}, all, here);
  set_box(tree, node, rows);
  if (node.count == 1) return write_leaf(tree, node, rows);
  split(tree, node, rows);
  build_subtree(tree, node.left(), all, first);
  build_subtree(tree, node.right(), all, first);
}

void build_from_copy(const KdTree& tree, const KdNode& node, const Rows& rows) {
  std::sort(rows.order, rows.order + rows.size);  // ties go to the smaller index
  std::vector<float> values(rows.size * tree.dim);
  std::vector<std::int32_t> order(rows.size), numbers(rows.order, rows.order + rows.size);
  for (std::int64_t i = 0; i < rows.size; ++i) {
    std::copy_n(rows.values + rows.order[i] * tree.dim, tree.dim, values.data() + i * tree.dim);
    order[i] = static_cast<std::int32_t>(i);
  }
  build_subtree(tree, node, {values.data(), order.data(), rows.keys, rows.size}, node.first);
  for (std::int64_t i = 0; i < rows.size; ++i) rows.order[i] = numbers[order[i]];
}

bool is_local(const Rows& rows) { return rows.size <= kLocalRows; }

}  // namespace

bool build_kd_tree(const BuildKdTreeArgs& args, int threads) {
  const KdTree& tree = args.tree;
  const Rows all{args.X, tree.order, args.keys, tree.n};
  std::atomic<bool> more{false};
  parallel_for(args.last - args.first, 1, threads, [&](std::int64_t i, std::int64_t) {
    KdNode node{0, 0, 0, tree.leaves()};
    for (int level = args.level; level > 0; --level) {
      if (is_local(rows_of(tree, all, node))) return;  // built with the level of that node
      node = (args.first + i) >> (level - 1) & 1 ? node.right() : node.left();
    }
    const Rows rows = rows_of(tree, all, node);
    if (is_local(rows)) return build_from_copy(tree, node, rows);
    set_box(tree, node, rows);
    split(tree, node, rows);
    more = true;
  });
  return more;
}

}  // namespace fpd::cpu
