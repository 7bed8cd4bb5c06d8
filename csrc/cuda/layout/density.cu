#include "cuda/support/launch.cuh"
#include "ops/layout/density.h"

namespace fpd::cuda {
namespace {

__device__ float squared_distance(const DensityGraph& graph, std::int64_t head, std::int64_t tail) {
  float d2 = 0.0f;
  for (std::int64_t c = 0; c < graph.dim; ++c) {
    const float difference =
        graph.positions[head * graph.dim + c] - graph.positions[tail * graph.dim + c];
    d2 += difference * difference;
  }
  return d2;
}

// A group of lanes a point: they split its edges.
__global__ void density_radii_kernel(DensityRadiiArgs args) {
  const DensityGraph& graph = args.graph;
  for (std::int64_t i = group_index(); i < graph.n; i += group_count()) {
    float strength = 0.0f, square = 0.0f;
    for (std::int64_t e = graph.indptr[i] + group_lane(); e < graph.indptr[i + 1];
         e += kGroupSize) {
      const float d2 = squared_distance(graph, i, graph.tails[e]);
      const float found = graph.force.strength(d2);
      strength += found;
      square += found * d2;
    }
    strength = group_sum(strength);
    square = group_sum(square);
    if (group_lane() == 0) {
      args.strengths[i] = strength;
      args.squares[i] = square * reciprocal_or_zero(strength);
    }
  }
}

}  // namespace

void density_radii(const DensityRadiiArgs& args, void* stream) {
  if (args.graph.n == 0) return;
  const unsigned blocks = blocks_for(args.graph.n * kGroupSize, kBlockSize);
  density_radii_kernel<<<blocks, kBlockSize, 0, as_stream(stream)>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
