#include "cuda/support/launch.cuh"
#include "ops/graph/graph_matmul.h"

namespace fpd::cuda {
namespace {

// A thread an entry: the columns of a row are neighbours and share its edges in the cache.
__global__ void graph_matmul_kernel(GraphMatmulArgs args) {
  const std::int64_t entries = args.n * args.columns;
  for (std::int64_t i = thread_index(); i < entries; i += thread_count()) {
    graph_matmul_row<1>(args, i / args.columns, i % args.columns);
  }
}

}  // namespace

void graph_matmul(const GraphMatmulArgs& args, void* stream) {
  const std::int64_t entries = args.n * args.columns;
  if (entries == 0) return;
  graph_matmul_kernel<<<blocks_for(entries, kBlockSize), kBlockSize, 0, as_stream(stream)>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
