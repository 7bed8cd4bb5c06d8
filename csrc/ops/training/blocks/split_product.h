// A block's product over a part of the depth, at the precision of float32: each factor is the sum
// of two of tf32. Parts are added up by who reads them, in order.
#pragma once

#include "ops/support/warp_product.h"

namespace fpd {

constexpr int kSplitRows = 64;   // of a block's product
constexpr int kSplitDepth = 32;  // that is in shared memory at a time
constexpr int kSplitStages = 3;  // of which one is used while the others arrive
constexpr int kSplitStrips = kSplitRows / kProductRows;
constexpr int kSplitGroups = kBlockWarps / kSplitStrips;  // warps that share a strip's columns
constexpr int kSplitTiles = 8;                            // most column tiles of a warp
constexpr int kSplitColumns = kSplitTiles * kSplitGroups * kProductColumns;

template <typename Block>
struct SplitSums {
  typename Block::template Fragment<4> tiles[kSplitTiles];
};

// First column of a warp's tile.
FPD_HD int split_column(int warp, int tile) {
  return (warp / kSplitStrips + tile * kSplitGroups) * kProductColumns;
}

FPD_HD int split_row(int warp) { return warp % kSplitStrips * kProductRows; }

template <typename Block, typename Source>
FPD_HD void multiply_stage(Block& block, const Source& source, const float* stage,
                           typename Block::template PerWarp<SplitSums<Block>>& sums) {
  block.warps([&](int warp) {
    const int row = split_row(warp);
    for (int k = 0; k < kSplitDepth; k += kProductDepth) {
      SplitFactor<Block, 4> left;
      load_factor<true>(block, left,
                        [&](int r, int c) { return stage[source.left_at(row + r, k + c)]; });
FPD_UNROLL
      for (int j = 0; j < kSplitTiles; ++j) {
        const int column = split_column(warp, j);
        if (column >= source.columns()) continue;
        SplitFactor<Block, 2> right;
        load_factor<true>(block, right,
                          [&](int d, int c) { return stage[source.right_at(k + d, column + c)]; });
        add_product<true>(block, sums[warp].tiles[j], left, right);
      }
    }
  });
}

// sums = left (kSplitRows, depth) times right (depth, columns), over [begin, end) of the depth.
// `memory` holds kSplitStages times source.stage_size() floats.
template <typename Block, typename Source>
FPD_HD void split_product(Block& block, const Source& source, std::int64_t begin, std::int64_t end,
                          float* memory,
                          typename Block::template PerWarp<SplitSums<Block>>& sums) {
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
    for (int j = 0; j < kSplitTiles; ++j) clear(block, sums[warp].tiles[j]);
  });
  for (int number = 0; number < kSplitStages - 1; ++number) load(number);
  for (int number = 0; number < stages; ++number) {
    block.template wait<kSplitStages - 2>();
    block.sync();  // also: all are done with the stage that is loaded next
    load(number + kSplitStages - 1);
    multiply_stage(block, source, memory + number % kSplitStages * source.stage_size(), sums);
  }
}

// emit(row, column, x, y) of the sums.
template <typename Block, typename Emit>
FPD_HD void each_split_sum(Block& block, int columns,
                           typename Block::template PerWarp<SplitSums<Block>>& sums,
                           const Emit& emit) {
  block.warps([&](int warp) {
FPD_UNROLL
    for (int j = 0; j < kSplitTiles; ++j) {
      const int column = split_column(warp, j);
      if (column >= columns) continue;
      each_pair(block, sums[warp].tiles[j], [&](int r, int c, float x, float y) {
        emit(split_row(warp) + r, column + c, x, y);
      });
    }
  });
}

// How many of `width` floats from `at` on are before `end`.
FPD_HD int valid_of(std::int64_t at, std::int64_t end, int width) {
  return at >= end ? 0 : end - at < width ? static_cast<int>(end - at) : width;
}

}  // namespace fpd
