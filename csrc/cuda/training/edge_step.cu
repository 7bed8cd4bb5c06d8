#include "cuda/support/block.cuh"
#include "ops/training/blocks/plan.h"
#include "ops/training/edge_step.h"

namespace fpd::cuda {
namespace {

template <int width, int tiles>
__global__ void __launch_bounds__(kBlockThreads, 2)
    step_sums_kernel(const __grid_constant__ EdgeStepArgs args) {
  extern __shared__ __align__(16) float memory[];
  DeviceBlock block;
  sum_block<width, tiles>(block, args, blockIdx.x, memory);
}

template <typename Function>
__global__ void __launch_bounds__(kBlockThreads, 1)
    step_tiles_kernel(const __grid_constant__ EdgeStepArgs args, Function activate) {
  extern __shared__ __align__(16) float memory[];
  DeviceBlock block;
  tile_block(block, args, blockIdx.x, memory, activate);
}

template <int width, int tiles>
__global__ void __launch_bounds__(kBlockThreads, 2)
    step_gradients_kernel(const __grid_constant__ EdgeStepArgs args) {
  extern __shared__ __align__(16) float memory[];
  DeviceBlock block;
  gradient_block<width, tiles>(block, args, blockIdx.x, memory);
}

__global__ void __launch_bounds__(kBlockThreads)
    step_update_kernel(const __grid_constant__ EdgeStepArgs args) {
  __shared__ double memory[kBlockThreads];
  DeviceBlock block;
  update_block(block, args, blockIdx.x, memory);
}

template <int width, int tiles>
void launch_step(const EdgeStepArgs& args, cudaStream_t stream) {
  launch_blocks(step_sums_kernel<width, tiles>, sum_blocks(args), sum_block_floats<tiles>(), stream,
                args);
  with_activation(args.network.activation, [&](auto activate) {
    launch_blocks(step_tiles_kernel<decltype(activate)>, args.plan.slots, args.plan.floats, stream,
                  args, activate);
  });
  launch_blocks(step_gradients_kernel<width, tiles>, gradient_blocks(args),
                gradient_block_floats<tiles>(), stream, args);
  launch_blocks(step_update_kernel, update_blocks(args), 0, stream, args);
}

}  // namespace

void edge_step(const EdgeStepArgs& args, void* stream) {
  with_split_tiles(args.first.out, [&](auto tiles) {
    copies_by_fours(args.table, args.first) ? launch_step<4, tiles>(args, as_stream(stream))
                                            : launch_step<1, tiles>(args, as_stream(stream));
  });
}

}  // namespace fpd::cuda
