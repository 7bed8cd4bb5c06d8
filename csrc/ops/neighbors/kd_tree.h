// A k-d tree of rows of few columns, and the rows that are nearest to each of its own rows or to
// queries, by differences of coordinates. A leaf is kLeafRows rows whose columns lie side by side;
// a node is a range of leaves, cut in the middle, so the tree's shape follows from the number of
// rows and equal rows are no special case. Nodes of more than one leaf are numbered in preorder: a
// node of `count` leaves is followed by the count / 2 - 1 of its first half, then by those of the
// second. The boxes of two halves stand side by side.
#pragma once

#include <cstdint>

#include "math/neighbors/distance.h"

namespace fpd {

constexpr std::int64_t kLeafRows = 16;

struct KdTree {
  float* values;        // (leaves, dim, kLeafRows), the last leaf filled up with zeros
  std::int32_t* order;  // (leaves * kLeafRows,) which row each is, -1 for none
  float* boxes;  // (2 leaves - 1, 2, dim) the least and the largest values, of all rows first
  std::int64_t n;
  std::int64_t dim;

  std::int64_t leaves() const { return (n + kLeafRows - 1) / kLeafRows; }
  std::int64_t rows_of(std::int64_t leaf) const {
    return leaf + 1 < leaves() ? kLeafRows : n - leaf * kLeafRows;
  }
};

struct KdNode {
  std::int64_t number;
  std::int64_t box;
  std::int64_t first;  // of its leaves
  std::int64_t count;

  KdNode left() const { return {number + 1, 2 * number + 1, first, count / 2}; }
  KdNode right() const {
    return {number + count / 2, 2 * number + 2, first + count / 2, count - count / 2};
  }
  float* low(const KdTree& tree) const { return tree.boxes + 2 * tree.dim * box; }
  float* high(const KdTree& tree) const { return low(tree) + tree.dim; }
};

// Some nodes of one level, from left to right, after those above them. A small node is built with
// all below it, and the level under it is empty.
struct BuildKdTreeArgs {
  KdTree tree;          // out; `order` begins as 0, 1, ...
  std::uint64_t* keys;  // (n,) scratch
  const float* X;       // (n, dim)
  int level;            // of 2^level nodes
  std::int64_t first;
  std::int64_t last;
};

// What is asked: all rows of some leaves, of which none is its own neighbour, or queries.
struct KdNearestArgs {
  std::int32_t* indices;   // (asked, width) out, ascending by (distance, index), -1 where empty
  std::int64_t* compared;  // out: rows that were compared, of each leaf (leaves) or query (count)
  KdTree tree;
  const std::int32_t* leaves;  // (count,), or null
  const float* queries;        // (count, dim), or null
  std::int64_t count;
  std::int64_t width;
  std::int64_t
      max_compared;  // rows compared for a leaf or a query, after which its search is given up
  Metric metric;     // a sum or a maximum of what grows with the differences of coordinates
  float p;           // exponent of minkowski
};

namespace cpu {
// Returns whether the level below holds anything.
bool build_kd_tree(const BuildKdTreeArgs& args, int threads);
void kd_nearest(const KdNearestArgs& args, int threads);
}  // namespace cpu

}  // namespace fpd
