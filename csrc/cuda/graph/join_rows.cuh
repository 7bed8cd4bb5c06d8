// The rows of a sorted graph joined with those of its transpose, by groups of lanes and by blocks.
#pragma once

#include "cuda/support/launch.cuh"
#include "math/graph/sorted_rows.h"

namespace fpd::cuda {

// A block joins rows of more neighbours together: hubs, which would keep one group for long.
constexpr std::int64_t kLongestOfGroup = 32 * kGroupSize;

struct Sides {
  const std::int64_t* forward_starts;
  const std::int64_t* transposed_starts;
  const Neighbor* forward;
  const Neighbor* transposed;

  __device__ RowPair row(std::int64_t row) const {
    const std::int64_t f = forward_starts[row], t = transposed_starts[row];
    return {forward + f, transposed + t, forward_starts[row + 1] - f,
            transposed_starts[row + 1] - t};
  }
};

// Calls emit(place, edge) for each edge of a row, places from 0 on, and returns how many there are.
template <typename Emit>
__device__ std::int64_t join_by_group(const RowPair& rows, const Symmetrizer& symmetrizer,
                                      Emit&& emit) {
  std::int64_t count = 0;
  for (std::int64_t first = 0; first < rows.count(); first += kGroupSize) {
    const std::int64_t position = first + group_lane();
    JoinedNeighbor edge{};
    if (position < rows.count()) edge = joined_at(rows, position, symmetrizer);
    const bool there = edge.weight != 0.0f;  // an intersection leaves no zero behind
    const unsigned all = group_ballot(there);
    if (there) emit(count + __popc(all & ((1u << group_lane()) - 1u)), edge);
    count += __popc(all);
  }
  return count;
}

// The same by a block, all of whose threads come.
template <typename Emit>
__device__ std::int64_t join_by_block(const RowPair& rows, const Symmetrizer& symmetrizer,
                                      Emit&& emit) {
  constexpr int warps = kBlockSize / 32;
  __shared__ int counts[warps];
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  std::int64_t count = 0;
  for (std::int64_t first = 0; first < rows.count(); first += kBlockSize) {
    const std::int64_t position = first + threadIdx.x;
    JoinedNeighbor edge{};
    if (position < rows.count()) edge = joined_at(rows, position, symmetrizer);
    const bool there = edge.weight != 0.0f;
    const unsigned all = __ballot_sync(0xffffffffu, there);
    if (lane == 0) counts[warp] = __popc(all);
    __syncthreads();
    int before = 0, sum = 0;
    for (unsigned w = 0; w < warps; ++w) {
      before += w < warp ? counts[w] : 0;
      sum += counts[w];
    }
    if (there) emit(count + before + __popc(all & ((1u << lane) - 1u)), edge);
    count += sum;
    __syncthreads();  // the counts are read before the next ones come
  }
  return count;
}

// Calls emit(row, place, edge) for each edge and finish(row, edges), in one thread, for each row.
// A group takes a row, its block together the longer ones of its groups.
template <typename Emit, typename Finish>
__device__ void join_rows(const Sides& sides, std::int64_t n, const Symmetrizer& symmetrizer,
                          Emit&& emit, Finish&& finish) {
  constexpr int groups = kBlockSize / kGroupSize;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * groups;
  for (std::int64_t base = static_cast<std::int64_t>(blockIdx.x) * groups; base < n; base += step) {
    const std::int64_t own = base + threadIdx.x / kGroupSize;
    const RowPair rows = own < n ? sides.row(own) : RowPair{};
    const bool long_row = rows.count() > kLongestOfGroup;
    if (own < n && !long_row) {
      const std::int64_t count = join_by_group(
          rows, symmetrizer,
          [&](std::int64_t place, const JoinedNeighbor& edge) { emit(own, place, edge); });
      if (group_lane() == 0) finish(own, count);
    }
    if (!__syncthreads_or(long_row)) continue;
    for (std::int64_t row = base; row < base + groups && row < n; ++row) {
      const RowPair whole = sides.row(row);
      if (whole.count() <= kLongestOfGroup) continue;
      const std::int64_t count = join_by_block(
          whole, symmetrizer,
          [&](std::int64_t place, const JoinedNeighbor& edge) { emit(row, place, edge); });
      if (threadIdx.x == 0) finish(row, count);
    }
  }
}

}  // namespace fpd::cuda
