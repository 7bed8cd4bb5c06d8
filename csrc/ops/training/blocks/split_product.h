// A block's product over a part of the depth, at the precision of float32: each factor is the sum
// of two of tf32. Parts are added up by who reads them, in order.
#pragma once

#include <type_traits>

#include "ops/support/warp_product.h"

namespace fpd {

constexpr int kSplitRows = 64;   // of a block's product
constexpr int kSplitDepth = 32;  // that is in shared memory at a time
constexpr int kSplitStages = 3;  // of which one is used while the others arrive
constexpr int kSplitStrips = kSplitRows / kProductRows;
constexpr int kSplitGroups = kBlockWarps / kSplitStrips;  // warps that share a strip's columns
constexpr int kSplitGroupColumns = kSplitGroups * kProductColumns;

// Column tiles of each warp, as many as hold so many columns: kernels are compiled for a few.
template <typename Body>
void with_split_tiles(int columns, const Body& body) {
  const int needed = (columns + kSplitGroupColumns - 1) / kSplitGroupColumns;
  if (needed <= 2) return body(std::integral_constant<int, 2>());
  if (needed <= 4) return body(std::integral_constant<int, 4>());
  if (needed <= 7) return body(std::integral_constant<int, 7>());  // 100 columns
  body(std::integral_constant<int, 8>());
}

template <typename Block, int tiles>
struct SplitSums {
  typename Block::template Fragment<4> each[tiles];
};

// First column of a warp's tile.
FPD_HD int split_column(int warp, int tile) {
  return (warp / kSplitStrips + tile * kSplitGroups) * kProductColumns;
}

FPD_HD int split_row(int warp) { return warp % kSplitStrips * kProductRows; }

template <int tiles, typename Block, typename Source, typename Sums>
FPD_HD void multiply_stage(Block& block, const Source& source, const float* stage, Sums& sums) {
  block.warps([&](int warp) {
    const int row = split_row(warp);
    FPD_UNROLL
    for (int k = 0; k < kSplitDepth; k += kProductDepth) {
      SplitFactor<Block, 4> left;
      SplitFactor<Block, 2> right[tiles];
      load_factor<true>(block, left,
                        [&](int r, int c) { return stage[source.left_at(row + r, k + c)]; });
      FPD_UNROLL
      for (int j = 0; j < tiles; ++j) {
        const int column = split_column(warp, j);
        load_factor<true>(block, right[j],
                          [&](int d, int c) { return stage[source.right_at(k + d, column + c)]; });
      }
      add_products<true>(block, sums[warp].each, left, right);
    }
  });
}

// sums = left (kSplitRows, depth) times right (depth, columns), over [begin, end) of the depth.
// `memory` holds kSplitStages times source.stage_size() floats.
template <int tiles, typename Block, typename Source, typename Sums>
FPD_HD void split_product(Block& block, const Source& source, std::int64_t begin, std::int64_t end,
                          float* memory, Sums& sums) {
  const int stages = static_cast<int>((end - begin + kSplitDepth - 1) / kSplitDepth);
  const auto load = [&](int number) {
    if (number < stages) {
      source.load(block, begin + static_cast<std::int64_t>(number) * kSplitDepth, end,
                  memory + number % kSplitStages * source.stage_size());
    }
    block.commit();
  };
  block.warps([&](int warp) {
    FPD_UNROLL
    for (int j = 0; j < tiles; ++j) clear(block, sums[warp].each[j]);
  });
  for (int number = 0; number < kSplitStages - 1; ++number) load(number);
  for (int number = 0; number < stages; ++number) {
    block.template wait<kSplitStages - 2>();
    block.sync();  // also: all are done with the stage that is loaded next
    load(number + kSplitStages - 1);
    multiply_stage<tiles>(block, source, memory + number % kSplitStages * source.stage_size(),
                          sums);
  }
}

// emit(row, column, x, y) of the sums.
template <int tiles, typename Block, typename Sums, typename Emit>
FPD_HD void each_split_sum(Block& block, Sums& sums, const Emit& emit) {
  block.warps([&](int warp) {
    FPD_UNROLL
    for (int j = 0; j < tiles; ++j) {
      each_pair(block, sums[warp].each[j], [&](int r, int c, float x, float y) {
        emit(split_row(warp) + r, split_column(warp, j) + c, x, y);
      });
    }
  });
}

// How many of `width` floats from `at` on are before `end`.
FPD_HD int valid_of(std::int64_t at, std::int64_t end, int width) {
  return at >= end ? 0 : end - at < width ? static_cast<int>(end - at) : width;
}

}  // namespace fpd
