#include "cuda/support/launch.cuh"
#include "math/support/squares.h"
#include "ops/training/anchor_loss.h"

namespace fpd::cuda {
namespace {

struct Nearest {
  float d2;
  std::int64_t anchor;
};

// A block a row, which goes over the anchors three times: their distances cost less than memory.
__global__ void anchor_loss_kernel(AnchorLossArgs args) {
  const std::int64_t thread = threadIdx.x;
  for (std::int64_t row = blockIdx.x; row < args.rows; row += gridDim.x) {
    const float* scores = args.scores + row * args.count;
    const float* position = args.positions + row * args.dim;
    Nearest own{FLT_MAX, 0};
    float own_most = -FLT_MAX;
    for (std::int64_t i = thread; i < args.count; i += kBlockSize) {
      const float d2 = squared_distance(position, args.anchors, i, args.count, args.dim);
      if (d2 < own.d2) own = {d2, i};
      own_most = max_of(scores[i], own_most);
    }
    const Nearest nearest = block_reduce<kBlockSize>(own, [](Nearest x, Nearest y) {
      return y.d2 < x.d2 || (y.d2 == x.d2 && y.anchor < x.anchor) ? y : x;
    });
    const float most =
        block_reduce<kBlockSize>(own_most, [](float x, float y) { return max_of(x, y); });
    const AnchorShare share_of(nearest.d2, args.reaches[nearest.anchor]);
    AnchorSums own_sums{0.0f, 0.0f, 0.0f};
    for (std::int64_t i = thread; i < args.count; i += kBlockSize) {
      const float score = scores[i] - most,
                  d2 = squared_distance(position, args.anchors, i, args.count, args.dim);
      const float share = share_of(d2) + (d2 - d2), odd = exp_fast(score) + (score - score);
      own_sums = {own_sums.shares + share, own_sums.odds + odd, own_sums.products + share * score};
    }
    const AnchorSums sums = block_reduce<kBlockSize>(own_sums, [](AnchorSums x, AnchorSums y) {
      return AnchorSums{x.shares + y.shares, x.odds + y.odds, x.products + y.products};
    });
    const float mean = 1.0f / static_cast<float>(args.rows);
    for (std::int64_t i = thread; i < args.count; i += kBlockSize) {
      const float share =
          share_of(squared_distance(position, args.anchors, i, args.count, args.dim));
      args.gradient[row * args.count + i] = mean * sums.slope(share, exp_fast(scores[i] - most));
    }
    if (thread == 0) args.row_losses[row] = static_cast<double>(sums.loss());
  }
}

__global__ void mean_of_rows_kernel(AnchorLossArgs args) {
  double loss = 0.0;
  for (std::int64_t row = threadIdx.x; row < args.rows; row += kBlockSize) {
    loss += args.row_losses[row];
  }
  const double sum = block_sum<kBlockSize>(loss);
  if (threadIdx.x == 0) *args.loss = static_cast<float>(sum / static_cast<double>(args.rows));
}

}  // namespace

void anchor_loss(const AnchorLossArgs& args, void* stream) {
  anchor_loss_kernel<<<blocks_for(args.rows, 1), kBlockSize, 0, as_stream(stream)>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
  mean_of_rows_kernel<<<1, kBlockSize, 0, as_stream(stream)>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
