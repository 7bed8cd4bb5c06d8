// Lists of candidates in global memory, each changed by one warp at a time.
#pragma once

#include <cstdint>

#include "ops/neighbors/nearest_in_tile.h"

namespace fpd::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// Whether an entry stands after another in a list.
__device__ inline bool is_after(float bound, std::int32_t index, float other,
                                std::int32_t other_index) {
  return bound > other || (bound == other && index > other_index);
}

// A warp moves the entries after a newcomer up by one, 32 at a time from the end.
__device__ inline void insert(const CandidateLists& lists, std::int64_t row, float bound,
                              std::int32_t index, int lane) {
  float* const bounds = lists.bounds + row * lists.width;
  std::int32_t* const indices = lists.indices + row * lists.width;
  for (std::int64_t first = lists.width - kWarp; first >= 0; first -= kWarp) {
    const std::int64_t at = first + lane;
    const bool moves = is_after(bounds[at], indices[at], bound, index);
    const float below = at > 0 ? bounds[at - 1] : -INFINITY;
    const std::int32_t below_index = at > 0 ? indices[at - 1] : -1;
    __syncwarp();
    if (moves) {
      const bool follows = is_after(below, below_index, bound, index);
      bounds[at] = follows ? below : bound;
      indices[at] = follows ? below_index : index;
    }
    __syncwarp();
    if (__shfl_sync(kAllLanes, moves, 0) == 0) return;
  }
}

}  // namespace fpd::cuda
