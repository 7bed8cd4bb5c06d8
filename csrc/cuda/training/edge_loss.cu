#include "cuda/support/launch.cuh"
#include "ops/training/edge_loss.h"

namespace fpd::cuda {
namespace {

std::int64_t partials_of(std::int64_t batch) {
  return (batch + kHeadsPerPartial - 1) / kHeadsPerPartial;
}

// A block a partial, a thread a head.
__global__ void edge_loss_kernel(EdgeLossArgs args, std::int64_t partials) {
  for (std::int64_t partial = blockIdx.x; partial < partials; partial += gridDim.x) {
    const std::int64_t head = partial * kHeadsPerPartial + threadIdx.x;
    const double loss = head < args.batch ? edge_loss_head(args, head) : 0.0;
    const double sum = block_sum<kHeadsPerPartial>(loss);
    if (threadIdx.x == 0) args.partials[partial] = sum;
  }
}

__global__ void mean_loss_kernel(EdgeLossArgs args, std::int64_t partials) {
  double loss = 0.0;
  for (std::int64_t i = threadIdx.x; i < partials; i += kBlockSize) loss += args.partials[i];
  const double sum = block_sum<kBlockSize>(loss);
  if (threadIdx.x == 0) *args.loss = mean_loss(args, sum);
}

}  // namespace

void edge_loss(const EdgeLossArgs& args, void* stream) {
  const std::int64_t partials = partials_of(args.batch);
  if (args.batch > 0) {
    edge_loss_kernel<<<blocks_for(partials, 1), kHeadsPerPartial, 0, as_stream(stream)>>>(args,
                                                                                          partials);
    FPD_CUDA_CHECK(cudaGetLastError());
  }
  mean_loss_kernel<<<1, kBlockSize, 0, as_stream(stream)>>>(args, partials);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
