#include "cuda/support/block.cuh"
#include "ops/training/blocks/embed_tile.h"
#include "ops/training/embed_rows.h"

namespace fpd::cuda {
namespace {

constexpr int kBlocksPerProcessor = 2;  // where shared memory allows it

template <int width, int tiles, typename Function>
__global__ void __launch_bounds__(kBlockThreads, 1)
    embed_rows_kernel(const __grid_constant__ EmbedRowsArgs args, Function activate) {
  extern __shared__ __align__(16) float memory[];
  DeviceBlock block;
  embed_block<width, tiles>(block, args, blockIdx.x, gridDim.x, memory, activate);
}

std::int64_t processors() {
  int device = 0, count = 0;
  FPD_CUDA_CHECK(cudaGetDevice(&device));
  FPD_CUDA_CHECK(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device));
  return count;
}

}  // namespace

void embed_rows(const EmbedRowsArgs& args, void* stream) {
  if (args.rows == 0) return;
  const std::int64_t blocks = std::min(embed_tiles(args), kBlocksPerProcessor * processors());
  with_activation(args.network.activation, [&](auto activate) {
    using Function = decltype(activate);
    with_split_tiles(args.first.out, [&](auto tiles) {
      const auto kernel = copies_by_fours(args.table, args.first)
                              ? embed_rows_kernel<4, tiles, Function>
                              : embed_rows_kernel<1, tiles, Function>;
      launch_blocks(kernel, blocks, embed_block_floats<tiles>(args), as_stream(stream), args,
                    activate);
    });
  });
}

}  // namespace fpd::cuda
