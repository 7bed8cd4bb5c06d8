#include "cuda/support/launch.cuh"
#include "math/support/squares.h"
#include "ops/training/anchor_modes.h"

namespace fpd::cuda {
namespace {

struct Best {
  float score;
  std::int64_t anchor;
};

__device__ float sum_of_block(float value) {
  return block_reduce<kBlockSize>(value, [](float x, float y) { return x + y; });
}

// A block a row; the row's mode stays where it is written in the end.
__global__ void anchor_modes_kernel(AnchorModesArgs args) {
  const std::int64_t thread = threadIdx.x;
  for (std::int64_t row = blockIdx.x; row < args.rows; row += gridDim.x) {
    const float* scores = args.scores + row * args.count;
    float* mode = args.modes + row * args.dim;
    float* moves = args.moves + row * args.dim;
    Best own{-FLT_MAX, 0};
    float own_doubt = 0.0f;
    for (std::int64_t i = thread; i < args.count; i += kBlockSize) {
      own_doubt += scores[i] - scores[i];
      if (scores[i] > own.score) own = {scores[i], i};
    }
    const float doubt = sum_of_block(own_doubt);
    const Best best = block_reduce<kBlockSize>(own, [](Best x, Best y) {
      return y.score > x.score || (y.score == x.score && y.anchor < x.anchor) ? y : x;
    });
    for (std::int64_t c = thread; c < args.dim; c += kBlockSize) {
      mode[c] = args.anchors[c * args.count + best.anchor];
    }
    __syncthreads();
    const float window = args.windows[best.anchor];
    for (int step = 0; step < kModeShifts; ++step) {
      float own_sum = 0.0f;
      for (std::int64_t i = thread; i < args.count; i += kBlockSize) {
        const float d2 = squared_distance(mode, args.anchors, i, args.count, args.dim);
        own_sum += mode_weight(scores[i] - best.score, d2, window);
      }
      const float sum = sum_of_block(own_sum);
      for (std::int64_t c = 0; c < args.dim; ++c) {
        float own_move = 0.0f;
        for (std::int64_t i = thread; i < args.count; i += kBlockSize) {
          const float d2 = squared_distance(mode, args.anchors, i, args.count, args.dim);
          const float weight = mode_weight(scores[i] - best.score, d2, window);
          own_move += weight * (args.anchors[c * args.count + i] - mode[c]);
        }
        const float move = sum_of_block(own_move);
        if (thread == 0) moves[c] = move / sum;
      }
      __syncthreads();
      for (std::int64_t c = thread; c < args.dim; c += kBlockSize) mode[c] += moves[c];
      __syncthreads();
    }
    for (std::int64_t c = thread; c < args.dim; c += kBlockSize) mode[c] += doubt;
    __syncthreads();  // until a block's next row
  }
}

}  // namespace

void anchor_modes(const AnchorModesArgs& args, void* stream) {
  anchor_modes_kernel<<<blocks_for(args.rows, 1), kBlockSize, 0, as_stream(stream)>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
