#include "cuda/support/launch.cuh"
#include "ops/graph/shared_neighbors.h"

namespace fpd::cuda {
namespace {

// A group of lanes a point: its own list stays in the first cache.
__global__ void shared_neighbors_kernel(SharedNeighborsArgs args) {
  for (std::int64_t i = group_index(); i < args.n; i += group_count()) {
    const std::int32_t* const own = args.lists + i * args.stride;
    const std::int64_t size = list_size(own, args.stride);
    for (std::int64_t j = group_lane(); j < args.k; j += kGroupSize) {
      const std::int64_t other = args.candidates[i * args.k + j];
      args.counts[i * args.k + j] =
          other < 0 ? 0 : count_shared(own, size, args.lists + other * args.stride, args.stride);
    }
  }
}

}  // namespace

void shared_neighbors(const SharedNeighborsArgs& args, void* stream) {
  if (args.n == 0 || args.k == 0) return;
  const unsigned blocks = blocks_for(args.n, kBlockSize / kGroupSize);
  shared_neighbors_kernel<<<blocks, kBlockSize, 0, as_stream(stream)>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
