#include "cuda/support/launch.cuh"
#include "ops/graph/segments.h"

namespace fpd::cuda {
namespace {

// A thread an entry of a piece: the rows it reads are those of its neighbours, from the cache.
__global__ void gram_pieces_kernel(SegmentGramArgs args) {
  const std::int64_t entries = args.p * args.q;
  const std::int64_t total = args.piece_count * entries;
  for (std::int64_t at = thread_index(); at < total; at += thread_count()) {
    const std::int64_t entry = at % entries;
    args.partials[at] = gram_entry(args, at / entries, entry / args.q, entry % args.q);
  }
}

__global__ void add_pieces_kernel(SegmentGramArgs args) {
  const std::int64_t entries = args.p * args.q;
  const std::int64_t total = args.segments * entries;
  for (std::int64_t at = thread_index(); at < total; at += thread_count()) {
    add_pieces(args, at / entries, at % entries);
  }
}

__global__ void segment_matmul_kernel(SegmentMatmulArgs args) {
  const std::int64_t total = args.n * args.q;
  for (std::int64_t at = thread_index(); at < total; at += thread_count()) {
    segment_matmul_entry(args, at / args.q, at % args.q);
  }
}

}  // namespace

void segment_gram(const SegmentGramArgs& args, void* stream) {
  const std::int64_t entries = args.p * args.q;
  if (args.segments * entries == 0) return;
  const cudaStream_t on = as_stream(stream);
  if (args.piece_count > 0) {
    gram_pieces_kernel<<<blocks_for(args.piece_count * entries, kBlockSize), kBlockSize, 0, on>>>(
        args);
    FPD_CUDA_CHECK(cudaGetLastError());
  }
  add_pieces_kernel<<<blocks_for(args.segments * entries, kBlockSize), kBlockSize, 0, on>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
}

void segment_matmul(const SegmentMatmulArgs& args, void* stream) {
  if (args.n * args.q == 0) return;
  segment_matmul_kernel<<<blocks_for(args.n * args.q, kBlockSize), kBlockSize, 0,
                          as_stream(stream)>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
