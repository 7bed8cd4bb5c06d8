#include "cuda/support/launch.cuh"
#include "ops/graph/subgraph.h"

namespace fpd::cuda {
namespace {

// A group of lanes a row: its edges lie side by side.
__global__ void subgraph_kernel(SubgraphArgs args) {
  for (std::int64_t row = group_index(); row < args.m; row += group_count()) {
    const std::int64_t point = args.points[row];
    const std::int64_t end = args.indptr[point + 1];
    for (std::int64_t e = args.indptr[point] + group_lane(); e < end; e += kGroupSize) {
      subgraph_edge(args, row, e);
    }
  }
}

}  // namespace

void subgraph(const SubgraphArgs& args, void* stream) {
  if (args.m == 0) return;
  const unsigned blocks = blocks_for(args.m, kBlockSize / kGroupSize);
  subgraph_kernel<<<blocks, kBlockSize, 0, as_stream(stream)>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
