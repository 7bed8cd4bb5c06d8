#include "cuda/layout/edges_by_part.cuh"
#include "cuda/layout/layout_draws.cuh"
#include "cuda/layout/sampled_edges.cuh"
#include "cuda/layout/wide_layout.cuh"
#include "cuda/support/kernel_graph.cuh"
#include "cuda/support/launch.cuh"
#include "ops/layout/sgd_layout.h"

namespace fpd::cuda {
namespace {

constexpr int kLayoutThreads = 128;
constexpr int kLayoutWarps = kLayoutThreads / kWarp;

// Blocks of a multiprocessor for which no register is spilled; one fewer where windows are.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 800
constexpr int kFewColumnsBlocks = 6;
#else
constexpr int kFewColumnsBlocks = 7;
#endif

// A position of so few columns that it is kept in registers.
template <int dim>
struct Point {
  float x[dim];

  __device__ static Point at(const float* positions, std::int64_t point) {
    Point p;
    const float* const row = positions + point * dim;
    if constexpr (dim % 2 == 0) {
#pragma unroll
      for (int c = 0; c < dim; c += 2) {
        const float2 pair = *reinterpret_cast<const float2*>(row + c);
        p.x[c] = pair.x;
        p.x[c + 1] = pair.y;
      }
    } else {
#pragma unroll
      for (int c = 0; c < dim; ++c) p.x[c] = row[c];
    }
    return p;
  }
};

// Adds factor(d2) of the difference of one pair, its components limited, to a force.
template <int dim, typename Factor>
__device__ void add_pair(const Point<dim>& head, const Point<dim>& tail, const Factor& factor_of,
                         float (&force)[dim]) {
  float d2 = 0.0f;
#pragma unroll
  for (int c = 0; c < dim; ++c) d2 += (head.x[c] - tail.x[c]) * (head.x[c] - tail.x[c]);
  const float factor = factor_of(d2);
#pragma unroll
  for (int c = 0; c < dim; ++c) {
    force[c] += limited(factor * (head.x[c] - tail.x[c]), kTermLimit);
  }
}

// Adds the repulsions of an edge. The points of a block are all fetched before the first is used.
template <int dim, bool kWindows>
__device__ void add_negatives(const SgdLayoutArgs& args, const LayoutStep& step, std::int64_t head,
                              std::int32_t tail, const Point<dim>& from, float (&force)[dim]) {
  const auto repulsion = [&](float d2) { return args.force.repulsion(d2); };
  for (int block = 0; block * kDrawsPerBlock < args.negatives; ++block) {
    const Draws draws(args, step, block, head, tail);
    Point<dim> others[kDrawsPerBlock];
#pragma unroll
    for (int draw = 0; draw < kDrawsPerBlock; ++draw) {
      others[draw] =
          Point<dim>::at(step.others, draws.tail<kWindows>(args, step, block, head, draw));
    }
#pragma unroll
    for (int draw = 0; draw < kDrawsPerBlock; ++draw) {
      if (block * kDrawsPerBlock + draw < args.negatives) {
        add_pair(from, others[draw], repulsion, force);
      }
    }
  }
}

// Adds the forces of the lanes' edges to the sums (points, dim) of their heads, which stand
// together: a tree within a head's lanes, the last of which adds what there is.
template <int dim>
__device__ void add_by_head(int head, float (&force)[dim], float* sums) {
  const int lane = static_cast<int>(threadIdx.x % kWarp);
#pragma unroll
  for (int up = 1; up < kWarp; up *= 2) {
    const bool same = __shfl_up_sync(kAllLanes, head, up) == head && lane >= up;
#pragma unroll
    for (int c = 0; c < dim; ++c) {
      const float before = __shfl_up_sync(kAllLanes, force[c], up);
      if (same) force[c] += before;
    }
  }
  const bool last = __shfl_down_sync(kAllLanes, head, 1) != head || lane == kWarp - 1;
  if (last && head >= 0) {
#pragma unroll
    for (int c = 0; c < dim; ++c) sums[head * dim + c] += force[c];
  }
  __syncwarp();
}

// Adds the terms of a part's edges of a warp to its points' sums, with negatives or without.
template <int dim, bool kWindows>
__device__ void add_edges(const SgdLayoutArgs& args, const LayoutStep& step,
                          const EdgesByPart& sorted, std::int64_t warp, int part, bool negatives,
                          Waiting& waiting, float* sums) {
  for_sampled(args, sorted, warp, part, step.epoch, waiting, [&](const SampledEdge& edge) {
    float force[dim] = {};
    if (edge.head >= 0) {
      const std::int64_t head = warp * sorted.points + edge.head;
      const auto from = Point<dim>::at(step.from, head);
      const auto other = Point<dim>::at(step.others, edge.tail);
      add_pair(from, other, [&](float d2) { return args.force.attraction(d2); }, force);
      if (args.density.pulls != nullptr) {
        const DensityPull both = pulls_of(args, head, edge.tail);
        const auto factor = [&](float d2) { return density_factor(args, d2, edge.weight, both); };
        add_pair(from, other, factor, force);
      }
      if (negatives) add_negatives<dim, kWindows>(args, step, head, edge.tail, from, force);
    }
    add_by_head(edge.head, force, sums);
  });
}

// A warp some points in a row: their edges' terms, then their moves.
template <int dim, bool kWindows>
__global__ void __launch_bounds__(kLayoutThreads, (dim <= 2 ? kFewColumnsBlocks : 5) - kWindows)
    layout_step_kernel(SgdLayoutArgs args, EdgesByPart sorted, int part) {
  __shared__ Waiting waiting[kLayoutWarps];
  __shared__ float all_sums[kLayoutWarps][kMostPoints * dim];
  const int lane = static_cast<int>(threadIdx.x % kWarp);
  Waiting& own = waiting[threadIdx.x / kWarp];
  float* const sums = all_sums[threadIdx.x / kWarp];
  const LayoutStep step = LayoutStep::of(args, *sorted.done * sorted.parts + part);
  for (std::int64_t warp = thread_index() / kWarp; warp < sorted.warps;
       warp += thread_count() / kWarp) {
    const int count = sorted.points * dim;
    for (int i = lane; i < count; i += kWarp) sums[i] = 0.0f;
    __syncwarp();
    for (int side = 0; side < sides_of(args); ++side) {
      const int of_side = side == 0 ? part : EpochParts::of(args).mirrored(part);
      add_edges<dim, kWindows>(args, step, sorted, warp, of_side, side == 0, own, sums);
    }
    const std::int64_t first = warp * count, left = args.n * dim - first;
    for (int i = lane; i < count && i < left; i += kWarp) {
      step.to[first + i] = moved(step.from[first + i], sums[i], step);
    }
    __syncwarp();
  }
}

__global__ void count_epoch_kernel(EdgesByPart sorted) { ++*sorted.done; }

template <bool kWindows>
auto step_kernel(std::int64_t dim) {
  switch (dim) {
    case 1: return layout_step_kernel<1, kWindows>;
    case 2: return layout_step_kernel<2, kWindows>;
    case 3: return layout_step_kernel<3, kWindows>;
    case 4: return layout_step_kernel<4, kWindows>;
    default: return wide_step_kernel;
  }
}

}  // namespace

std::size_t sgd_layout_scratch(std::int64_t n, std::int64_t edges, int steps_per_epoch) {
  return EdgesByPart::bytes(n, edges, steps_per_epoch);
}

void sgd_layout(const SgdLayoutArgs& args, void* stream) {
  if (args.n == 0) return;
  const EdgesByPart sorted(args);
  const unsigned blocks = blocks_for(sorted.warps, kLayoutWarps);
  if (!args.sorted) {
    sort_edges_kernel<<<blocks, kLayoutThreads, 0, as_stream(stream)>>>(args, sorted);
    FPD_CUDA_CHECK(cudaGetLastError());
  }
  FPD_CUDA_CHECK(cudaMemsetAsync(sorted.done, 0, sizeof(*sorted.done), as_stream(stream)));
  const bool windows = args.windows.size > 0;
  const auto kernel = windows ? step_kernel<true>(args.dim) : step_kernel<false>(args.dim);
  KernelGraph epoch;
  for (int part = 0; part < sorted.parts; ++part) {
    epoch.add(kernel, blocks, kLayoutThreads, args, sorted, part);
  }
  epoch.add(count_epoch_kernel, 1, 1, sorted);
  epoch.launch(args.last_epoch - args.first_epoch, stream);
  if (steps_of(args) % 2 == 1) {
    FPD_CUDA_CHECK(cudaMemcpyAsync(args.positions, args.next, sizeof(float) * args.n * args.dim,
                                   cudaMemcpyDeviceToDevice, as_stream(stream)));
  }
}

}  // namespace fpd::cuda
