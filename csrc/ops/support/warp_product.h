// Matrix products of warps, m16n8k8 with factors of tf32 (PTX: mma.m16n8k8), for bodies of kernels
// that are written once: a device's block runs them by its threads, the host's one after the other.
//
// What such a Block has:
//   Fragment<n>                    n numbers in each lane of a warp, at(lane, i)
//   PerWarp<T>                     a T in each warp
//   warps(f)                       f(warp) in each warp
//   each<n>(f)                     f(lane, i) for the n numbers of a warp's lanes
//   multiply(sums, left, right)    sums += left right, of one warp
//   elements(count, f)             f(i), spread over the threads
//   matrix(rows, columns, f)       f(row, column), a warp a row
//   sync()                         what threads wrote before is there after
//   copy<width>(to, from, valid)   of so many floats, zeros behind the valid ones; asynchronous
//   commit(), wait<pending>()      groups of copies; the thread's own are there, but for so many
//   put(to, x, y, count)           one or two floats side by side
#pragma once

#include <cstddef>

#include "math/support/host_device.h"
#include "math/support/tf32.h"

namespace fpd {

constexpr int kWarpLanes = 32;
constexpr int kBlockWarps = 8;
constexpr int kBlockThreads = kWarpLanes * kBlockWarps;
constexpr int kProductRows = 16;
constexpr int kProductColumns = 8;
constexpr int kProductDepth = 8;

struct Place {
  int row;
  int column;
};

// Where a lane's numbers are in left (16, 8), right (8, 8) and sums (16, 8).
FPD_HD constexpr Place left_place(int lane, int i) {
  return {lane / 4 + i % 2 * 8, lane % 4 + i / 2 * 4};
}
FPD_HD constexpr Place right_place(int lane, int i) { return {lane % 4 + i * 4, lane / 4}; }
FPD_HD constexpr Place sum_place(int lane, int i) {
  return {lane / 4 + i / 2 * 8, lane % 4 * 2 + i % 2};
}

FPD_HD constexpr int padded_to(int width, int unit) { return (width + unit - 1) / unit * unit; }

// Rows of floats in shared memory, of a width that products are cut from. Four more, an odd number
// of fours: a column's lanes meet other banks in each row.
FPD_HD constexpr int row_stride(int width) { return padded_to(width, kProductDepth) + 4; }

// A fragment's numbers as the sum of two of tf32, whose three largest products are exact to 2^-21.
template <typename Block, int n>
struct SplitFactor {
  typename Block::template Fragment<n> high;
  typename Block::template Fragment<n> low;
};

// Numbers of a factor from at(row, column) of the left, or at(depth, column) of the right.
template <bool split, typename Block, int n, typename At>
FPD_HD void load_factor(Block& block, SplitFactor<Block, n>& factor, const At& at) {
  static_assert(n == 4 || n == 2, "a left or a right factor");
  block.template each<n>([&](int lane, int i) {
    const Place place = n == 4 ? left_place(lane, i) : right_place(lane, i);
    const float x = at(place.row, place.column);
    if constexpr (split) {
      const SplitNumber parts = split_tf32(x);
      factor.high.at(lane, i) = parts.high;
      factor.low.at(lane, i) = parts.low;
    } else {
      factor.high.at(lane, i) = to_tf32(x);
    }
  });
}

// Adds a left factor's products with `count` right ones, the small ones first, each for all of them
// before the next, since a product waits for the one before it in the same sums.
template <bool split, int count, typename Block>
FPD_HD void add_products(Block& block, typename Block::template Fragment<4> (&sums)[count],
                         const SplitFactor<Block, 4>& left,
                         const SplitFactor<Block, 2> (&right)[count]) {
  if constexpr (split) {
    FPD_UNROLL for (int j = 0; j < count; ++j) block.multiply(sums[j], left.low, right[j].high);
    FPD_UNROLL for (int j = 0; j < count; ++j) block.multiply(sums[j], left.high, right[j].low);
  }
  FPD_UNROLL for (int j = 0; j < count; ++j) block.multiply(sums[j], left.high, right[j].high);
}

template <typename Block>
FPD_HD void clear(Block& block, typename Block::template Fragment<4>& sums) {
  block.template each<4>([&](int lane, int i) { sums.at(lane, i) = 0.0f; });
}

// emit(row, column, x, y) for pairs of sums, y in the column behind.
template <typename Block, typename Emit>
FPD_HD void each_pair(Block& block, typename Block::template Fragment<4>& sums, const Emit& emit) {
  block.template each<2>([&](int lane, int half) {
    const Place place = sum_place(lane, 2 * half);
    emit(place.row, place.column, sums.at(lane, 2 * half), sums.at(lane, 2 * half + 1));
  });
}

// Whole products: (rows, depth) times (depth, columns), all padded.
struct ProductShape {
  int rows;
  int columns;
  int depth;
};

constexpr int kColumnsAtOnce = 4;  // products of a warp side by side, which share their left factor

// emit(row, column, x, y) of left times right, from left(row, depth) and right(depth, column). A
// warp has one strip of kProductRows rows, of which there are at most as many as warps.
template <bool split, typename Block, typename Left, typename Right, typename Emit>
FPD_HD void block_product(Block& block, const ProductShape& shape, const Left& left,
                          const Right& right, const Emit& emit) {
  const int strips = shape.rows / kProductRows, groups = kBlockWarps / strips;
  block.warps([&](int warp) {
    const int row = warp % strips * kProductRows;
    const int step = groups * kProductColumns;
    if (warp / strips >= groups) return;
    for (int first = warp / strips * kProductColumns; first < shape.columns;
         first += kColumnsAtOnce * step) {
      typename Block::template Fragment<4> sums[kColumnsAtOnce];
      int columns[kColumnsAtOnce];  // where there is none, the first again: no branch between
                                    // products
      FPD_UNROLL
      for (int j = 0; j < kColumnsAtOnce; ++j) {
        columns[j] = first + j * step < shape.columns ? first + j * step : first;
        clear(block, sums[j]);
      }
      for (int k = 0; k < shape.depth; k += kProductDepth) {
        SplitFactor<Block, 4> a;
        SplitFactor<Block, 2> b[kColumnsAtOnce];
        load_factor<split>(block, a, [&](int r, int c) { return left(row + r, k + c); });
        FPD_UNROLL
        for (int j = 0; j < kColumnsAtOnce; ++j) {
          load_factor<split>(block, b[j],
                             [&](int d, int c) { return right(k + d, columns[j] + c); });
        }
        add_products<split>(block, sums, a, b);
      }
      FPD_UNROLL
      for (int j = 0; j < kColumnsAtOnce; ++j) {
        if (first + j * step >= shape.columns) continue;
        each_pair(block, sums[j],
                  [&](int r, int c, float x, float y) { emit(row + r, columns[j] + c, x, y); });
      }
    }
  });
}

namespace cpu {
// An H200's, so that the host makes the tiles that the device makes.
std::size_t block_shared_bytes();
}  // namespace cpu
namespace cuda {
// Shared memory that a block may have on the current device.
std::size_t block_shared_bytes();
}  // namespace cuda

}  // namespace fpd
