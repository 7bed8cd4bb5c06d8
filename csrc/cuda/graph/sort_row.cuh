// Sorting of short rows in the registers of a group of lanes.
#pragma once

#include "cuda/support/launch.cuh"

namespace fpd::cuda {

// One step of a bitonic network over group_lane() + kGroupSize * slot.
template <int per_lane, typename T>
__device__ void exchange_row(T (&values)[per_lane], int size, int stride) {
  const int lane = group_lane();
  if (stride < kGroupSize) {
#pragma unroll
    for (int s = 0; s < per_lane; ++s) {
      const T other = group_exchange(values[s], stride);
      const bool ascending = ((s * kGroupSize + lane) & size) == 0;
      const bool keeps_smaller = ((lane & stride) == 0) == ascending;
      values[s] = keeps_smaller == (other < values[s]) ? other : values[s];
    }
    return;
  }
#pragma unroll
  for (int s = 0; s < per_lane; ++s) {
    const int partner = s | stride / kGroupSize;
    if (partner == s) continue;
    const T first = values[s], second = values[partner];
    const bool ascending = ((s * kGroupSize) & size) == 0;
    const bool ordered = ascending == (first < second);
    values[s] = ordered ? first : second;
    values[partner] = ordered ? second : first;
  }
}

// The place of a value is slot * kGroupSize + lane; all lanes of a group call it together.
template <int per_lane, typename T>
__device__ void sort_row(T (&values)[per_lane]) {
#pragma unroll
  for (int size = 2; size <= per_lane * kGroupSize; size *= 2) {
#pragma unroll
    for (int stride = size / 2; stride > 0; stride /= 2) exchange_row(values, size, stride);
  }
}

}  // namespace fpd::cuda
