// Columns that may join the lists of a warp's rows, kept until there are several for a row: a list
// is then fetched once for all of them.
#pragma once

#include "cuda/neighbors/candidate_lists.cuh"

namespace fpd::cuda {

constexpr int kNewcomers = 8;   // of a row
constexpr int kEnough = 6;      // of a row, to be taken in before the next tile
constexpr int kRowsAtOnce = 4;  // whose lists are fetched together

struct Newcomers {
  float bounds[kWarp][kNewcomers];
  std::int32_t indices[kWarp][kNewcomers];
  int counts[kWarp];  // also of those that found no place

  // Whether there was a place.
  __device__ bool add(int row, float bound, std::int32_t index) {
    const int place = atomicAdd(&counts[row], 1);
    if (place >= kNewcomers) return false;
    bounds[row][place] = bound;
    indices[row][place] = index;
    return true;
  }
};

// A list of one entry a lane takes in another entry, wherever it stands by (bound, index).
__device__ inline void insert_in_registers(float& bound, std::int32_t& index, float new_bound,
                                           std::int32_t new_index, int lane) {
  const float below = __shfl_up_sync(kAllLanes, bound, 1);
  const std::int32_t below_index = __shfl_up_sync(kAllLanes, index, 1);
  if (!is_after(bound, index, new_bound, new_index)) return;
  const bool follows = lane > 0 && is_after(below, below_index, new_bound, new_index);
  bound = follows ? below : new_bound;
  index = follows ? below_index : new_index;
}

// All newcomers of a warp join their rows' lists. `row_of` gives the row of the data of one of the
// warp's 32 rows.
template <typename RowOf>
__device__ void take_in(Newcomers& newcomers, const CandidateLists& lists, const RowOf& row_of,
                        int lane) {
  __syncwarp();
  const int own = newcomers.counts[lane] < kNewcomers ? newcomers.counts[lane] : kNewcomers;
  unsigned waiting = __ballot_sync(kAllLanes, own > 0);
  while (waiting != 0) {
    int rows[kRowsAtOnce];
    float bounds[kRowsAtOnce] = {};
    std::int32_t indices[kRowsAtOnce] = {};
#pragma unroll
    for (int i = 0; i < kRowsAtOnce; ++i) {
      rows[i] = __ffs(static_cast<int>(waiting)) - 1;  // -1 after the last
      waiting &= waiting - 1;
      if (rows[i] < 0 || lists.width != kWarp) continue;
      bounds[i] = lists.bounds[row_of(rows[i]) * kWarp + lane];
      indices[i] = lists.indices[row_of(rows[i]) * kWarp + lane];
    }
#pragma unroll
    for (int i = 0; i < kRowsAtOnce; ++i) {
      const int count = __shfl_sync(kAllLanes, own, rows[i] < 0 ? 0 : rows[i]);
      if (rows[i] < 0) continue;
      for (int j = 0; j < count; ++j) {
        const float bound = newcomers.bounds[rows[i]][j];
        const std::int32_t index = newcomers.indices[rows[i]][j];
        if (lists.width == kWarp) {
          insert_in_registers(bounds[i], indices[i], bound, index, lane);
        } else {
          insert(lists, row_of(rows[i]), bound, index, lane);
        }
      }
      if (lists.width != kWarp) continue;
      lists.bounds[row_of(rows[i]) * kWarp + lane] = bounds[i];
      lists.indices[row_of(rows[i]) * kWarp + lane] = indices[i];
    }
  }
  newcomers.counts[lane] = 0;
  __syncwarp();
}

}  // namespace fpd::cuda
