// The first layer of a step: its draws, its sums over the batch's rows of the table, and the
// gradients of its weights.
#pragma once

#include "ops/training/blocks/split_product.h"
#include "ops/training/edge_step.h"

namespace fpd {

// Rows of the table by the weights, both side by side along the depth.
template <int width, int tiles>
struct SumSource {
  const float* table;
  const std::int32_t* nodes;  // (kSplitRows,) -1 behind the last row
  DenseLayer layer;

  static constexpr int columns = tiles * kSplitGroupColumns;
  FPD_HD static constexpr int stride() { return row_stride(kSplitDepth); }
  FPD_HD static constexpr int stage_size() { return (kSplitRows + columns) * stride(); }
  FPD_HD int left_at(int row, int k) const { return row * stride() + k; }
  FPD_HD int right_at(int k, int column) const { return (kSplitRows + column) * stride() + k; }

  template <typename Block>
  FPD_HD void load(Block& block, std::int64_t begin, std::int64_t end, float* stage) const {
    constexpr int pieces = kSplitDepth / width;
    block.elements((kSplitRows + columns) * pieces, [&](int i) {
      const int row = i / pieces, piece = i % pieces * width, o = row - kSplitRows;
      const std::int64_t k = begin + piece;
      const std::int64_t node = o < 0 ? nodes[row] : o < layer.out ? o : -1;
      const float* from = o < 0 ? table : layer.weight;
      const int valid = node < 0 ? 0 : valid_of(k, end, width);
      block.template copy<width>(stage + row * stride() + piece,
                                 valid == 0 ? from : from + node * layer.in + k, valid);
    });
  }
};

// Columns of the table by gradients of the sums, both a row of the batch after the other.
template <int width, int tiles>
struct GradientSource {
  const float* table;
  const std::int32_t* nodes;  // (rows,)
  const float* gradients;     // (rows, padded out)
  int in;
  int out;
  int first_column;

  // A quarter of the banks further in each row: the four of a factor's depth do not meet.
  static constexpr int columns = tiles * kSplitGroupColumns;
  FPD_HD static constexpr int left_stride() { return kSplitRows + 8; }
  FPD_HD static constexpr int right_stride() { return padded_to(columns, 32) + 8; }
  FPD_HD static constexpr int stage_size() {
    return kSplitDepth * (left_stride() + right_stride());
  }
  FPD_HD int left_at(int row, int k) const { return k * left_stride() + row; }
  FPD_HD int right_at(int k, int column) const {
    return kSplitDepth * left_stride() + k * right_stride() + column;
  }

  template <typename Block>
  FPD_HD void load(Block& block, std::int64_t begin, std::int64_t end, float* stage) const {
    constexpr int pieces = kSplitRows / width;
    block.elements(kSplitDepth * pieces, [&](int i) {
      const int k = i / pieces, piece = i % pieces * width;
      const std::int64_t row = begin + k, column = first_column + piece;
      const int valid = row < end ? valid_of(column, in, width) : 0;
      block.template copy<width>(
          stage + k * left_stride() + piece,
          valid == 0 ? table : table + nodes[row] * std::int64_t{in} + column, valid);
    });
    const int padded = padded_to(out, kProductColumns);
    block.matrix(kSplitDepth, columns / 4, [&](int k, int piece) {
      const std::int64_t row = begin + k;
      const int valid = row < end && 4 * piece < padded ? 4 : 0;
      block.template copy<4>(stage + right_at(k, 4 * piece),
                             valid == 0 ? gradients : gradients + row * padded + 4 * piece, valid);
    });
  }
};

// The nodes of the batch's rows from `first` on, -1 behind the last.
template <typename Block>
FPD_HD void draw_rows(Block& block, const EdgeStepArgs& args, std::int64_t first,
                      std::int32_t* nodes) {
  const int group = rows_per_head(args);
  const std::int64_t lane = first / group;
  std::int64_t end = (first + kSplitRows + group - 1) / group;
  if (end > args.draw.batch) end = args.draw.batch;
  block.elements(kSplitRows, [&](int row) { nodes[row] = -1; });
  block.sync();
  block.elements(static_cast<int>(end - lane), [&](int i) {
    const std::int64_t at = (lane + i) * group - first;
    const auto put = [&](int place, std::int32_t node) {
      if (at + place >= 0 && at + place < kSplitRows) nodes[at + place] = node;
    };
    const PhiloxBits bits = first_bits(args.draw, lane + i);
    const std::int64_t edge = args.draw.table.draw(bits.low);
    put(0, args.draw.edge_heads[edge]);
    each_tail(args.draw, lane + i, bits, edge,
              [&](int slot, std::int32_t node) { put(1 + slot, node); });
  });
  block.sync();
}

// Block `index` of the first launch.
template <int width, int tiles, typename Block>
FPD_HD void sum_block(Block& block, const EdgeStepArgs& args, std::int64_t index, float* memory) {
  const DepthSplit& split = args.plan.columns;
  const std::int64_t part = index % split.parts, rows = step_rows(args);
  const std::int64_t first = index / split.parts * kSplitRows;
  std::int32_t* nodes = reinterpret_cast<std::int32_t*>(memory);
  draw_rows(block, args, first, nodes);
  if (part == 0) {
    block.elements(kSplitRows, [&](int row) {
      if (first + row < rows) args.scratch.nodes[first + row] = nodes[row];
    });
  }
  const SumSource<width, tiles> source{args.table, nodes, args.first};
  const std::int64_t begin = part * split.size, stop = begin + split.size;
  typename Block::template PerWarp<SplitSums<Block, tiles>> sums;
  split_product<tiles>(block, source, begin, stop < args.first.in ? stop : args.first.in,
                       memory + kSplitRows, sums);
  const int columns = padded_to(args.first.out, kProductColumns);
  float* out = args.scratch.sums + (part * rows + first) * columns;
  each_split_sum<tiles>(block, sums, [&](int row, int column, float x, float y) {
    if (first + row < rows && column < columns) block.put(out + row * columns + column, x, y, 2);
  });
}

// Block `index` of the third launch; sums are (columns of the table, out), written the other way.
template <int width, int tiles, typename Block>
FPD_HD void gradient_block(Block& block, const EdgeStepArgs& args, std::int64_t index,
                           float* memory) {
  const DepthSplit& split = args.plan.batch;
  const std::int64_t part = index % split.parts, rows = step_rows(args);
  const int in = args.first.in, out = args.first.out;
  const int first = static_cast<int>(index / split.parts) * kSplitRows;
  // The step that is made is read by the last launch, and the next by the first.
  if (index == 0) {
    block.elements(1, [&](int) { args.counters[0] = args.counters[1] + 1; });
  }
  const GradientSource<width, tiles> source{
      args.table, args.scratch.nodes, args.scratch.sum_grads, in, out, first};
  const std::int64_t begin = part * split.size, stop = begin + split.size;
  typename Block::template PerWarp<SplitSums<Block, tiles>> sums;
  split_product<tiles>(block, source, begin, stop < rows ? stop : rows, memory, sums);
  float* to = args.scratch.first_partials + part * out * in + first;
  each_split_sum<tiles>(block, sums, [&](int i, int o, float x, float y) {
    if (first + i >= in) return;
    if (o < out) to[static_cast<std::int64_t>(o) * in + i] = x;
    if (o + 1 < out) to[static_cast<std::int64_t>(o + 1) * in + i] = y;
  });
}

template <int tiles>
constexpr int sum_block_floats() {
  return kSplitRows + kSplitStages * SumSource<4, tiles>::stage_size();
}

template <int tiles>
constexpr int gradient_block_floats() {
  return kSplitStages * GradientSource<4, tiles>::stage_size();
}

// Whether rows of the table and of the weights can be copied by fours.
inline bool copies_by_fours(const float* table, const DenseLayer& layer) {
  const auto addresses =
      reinterpret_cast<std::uintptr_t>(table) | reinterpret_cast<std::uintptr_t>(layer.weight);
  return layer.in % 4 == 0 && addresses % (4 * sizeof(float)) == 0;
}

}  // namespace fpd
