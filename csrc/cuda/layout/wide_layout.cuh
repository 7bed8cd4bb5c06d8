// A step of a layout in more columns than registers hold.
#pragma once

#include "cuda/layout/layout_draws.cuh"
#include "cuda/layout/sampled_edges.cuh"

namespace fpd::cuda {

constexpr int kWideThreads = 128;

// Adds factor(d2) of the difference of one pair, its components limited, to a row of sums. The
// lanes split the columns; all get the same bits of d2, since a + b and b + a are the same.
template <typename Factor>
__device__ void add_wide_pair(const float* head, const float* tail, std::int64_t dim,
                              const Factor& factor_of, float* sum) {
  const int lane = static_cast<int>(threadIdx.x % kWarp);
  float d2 = 0.0f;
  for (std::int64_t c = lane; c < dim; c += kWarp) {
    d2 += (head[c] - tail[c]) * (head[c] - tail[c]);
  }
  for (int bits = kWarp / 2; bits > 0; bits /= 2) d2 += __shfl_xor_sync(kAllLanes, d2, bits);
  const float factor = factor_of(d2);
  for (std::int64_t c = lane; c < dim; c += kWarp) {
    sum[c] += limited(factor * (head[c] - tail[c]), kTermLimit);
  }
}

// Adds the terms of one edge, by all lanes, to the sum in its head's output row.
__device__ inline void add_wide_edge(const SgdLayoutArgs& args, const LayoutStep& step,
                                     std::int64_t head, std::int32_t tail, float weight,
                                     bool negatives) {
  const float* const from = step.from + head * args.dim;
  const float* const other = step.others + tail * args.dim;
  float* const sum = step.to + head * args.dim;
  add_wide_pair(from, other, args.dim, [&](float d2) { return args.force.attraction(d2); }, sum);
  if (args.density.pulls != nullptr) {
    const DensityPull both = pulls_of(args, head, tail);
    add_wide_pair(
        from, other, args.dim, [&](float d2) { return density_factor(args, d2, weight, both); },
        sum);
  }
  for (int count = 0; negatives && count < args.negatives; count += kDrawsPerBlock) {
    const int block = count / kDrawsPerBlock;
    const Draws draws(args, step, block, head, tail);
    const int left = args.negatives - count;
#pragma unroll 1
    for (int draw = 0; draw < kDrawsPerBlock && draw < left; ++draw) {
      const std::int32_t drawn = draws.tail<true>(args, step, block, head, draw);
      add_wide_pair(
          from, step.others + drawn * args.dim, args.dim,
          [&](float d2) { return args.force.repulsion(d2); }, sum);
    }
  }
}

// As layout_step_kernel, one edge of a warp after the other; a lane has the same columns
// throughout.
static __global__ void __launch_bounds__(kWideThreads, 6)
    wide_step_kernel(SgdLayoutArgs args, EdgesByPart sorted, int part) {
  __shared__ Waiting waiting[kWideThreads / kWarp];
  const int lane = static_cast<int>(threadIdx.x % kWarp);
  const LayoutStep step = LayoutStep::of(args, *sorted.done * sorted.parts + part);
  for (std::int64_t warp = thread_index() / kWarp; warp < sorted.warps;
       warp += thread_count() / kWarp) {
    const std::int64_t first = warp * sorted.points;
    const std::int64_t last = first + sorted.points < args.n ? first + sorted.points : args.n;
    const auto for_columns = [&](const auto& body) {
      for (std::int64_t i = first; i < last; ++i) {
        for (std::int64_t c = lane; c < args.dim; c += kWarp) body(i * args.dim + c);
      }
    };
    for_columns([&](std::int64_t at) { step.to[at] = 0.0f; });
    for (int side = 0; side < sides_of(args); ++side) {
      const int of_side = side == 0 ? part : EpochParts::of(args).mirrored(part);
      for_sampled(args, sorted, warp, of_side, step.epoch, waiting[threadIdx.x / kWarp],
                  [&](const SampledEdge& edge) {
                    for (int source = 0; source < kWarp; ++source) {
                      const int head = __shfl_sync(kAllLanes, edge.head, source);
                      const std::int32_t tail = __shfl_sync(kAllLanes, edge.tail, source);
                      const float weight = __shfl_sync(kAllLanes, edge.weight, source);
                      if (head < 0) break;
                      add_wide_edge(args, step, first + head, tail, weight, side == 0);
                    }
                  });
    }
    for_columns([&](std::int64_t at) { step.to[at] = moved(step.from[at], step.to[at], step); });
  }
}

}  // namespace fpd::cuda
