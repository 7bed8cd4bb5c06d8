#include "cuda/support/launch.cuh"
#include "ops/training/gather_rows.h"

namespace fpd::cuda {
namespace {

constexpr int kMaxLanes = 32;  // of one row

// A block is `blockDim.x` lanes of a row by `blockDim.y` rows: no index takes a division.
template <typename Word>
__global__ void gather_rows_kernel(GatherRowsArgs args) {
  const std::int64_t words = args.row_bytes / static_cast<std::int64_t>(sizeof(Word));
  const Word* table = reinterpret_cast<const Word*>(args.table);
  Word* out = reinterpret_cast<Word*>(args.out);
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.y;
  std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  for (; i < args.m; i += stride) {
    const std::int64_t row = args.indices[i];
    for (std::int64_t w = threadIdx.x; w < words; w += blockDim.x) {
      out[i * words + w] = table[row * words + w];
    }
  }
}

template <typename Word>
bool holds_whole(const GatherRowsArgs& args) {
  const std::uintptr_t addresses =
      reinterpret_cast<std::uintptr_t>(args.out) | reinterpret_cast<std::uintptr_t>(args.table);
  return (addresses | static_cast<std::uintptr_t>(args.row_bytes)) % sizeof(Word) == 0;
}

template <typename Word>
void launch(const GatherRowsArgs& args, void* stream) {
  const std::int64_t words = args.row_bytes / static_cast<std::int64_t>(sizeof(Word));
  int lanes = 1;
  while (lanes < words && lanes < kMaxLanes) lanes *= 2;
  const int rows = kBlockSize / lanes;
  gather_rows_kernel<Word>
      <<<blocks_for(args.m, rows), dim3(lanes, rows), 0, as_stream(stream)>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace

void gather_rows(const GatherRowsArgs& args, void* stream) {
  if (args.m == 0 || args.row_bytes == 0) return;
  if (holds_whole<uint4>(args)) {
    launch<uint4>(args, stream);
  } else if (holds_whole<std::uint32_t>(args)) {
    launch<std::uint32_t>(args, stream);
  } else {
    launch<std::uint8_t>(args, stream);
  }
}

}  // namespace fpd::cuda
