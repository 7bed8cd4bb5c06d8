#include "cuda/support/launch.cuh"
#include "ops/graph/perplexity.h"

namespace fpd::cuda {
namespace {

// A row's distances relative to the largest, so that their squares cannot overflow.
struct ScaledRow {
  const float* distances;
  std::int64_t k;
  float scale;
  float smallest;

  __device__ float square(std::int64_t j) const {
    return shifted_square(distances[j], smallest, scale);
  }
};

__device__ ScaledRow scaled_row(const float* distances, std::int64_t k) {
  float smallest = INFINITY, largest = 0.0f;
  for (std::int64_t j = group_lane(); j < k; j += kGroupSize) {
    smallest = min_of(smallest, distances[j]);
    largest = max_of(largest, distances[j]);
  }
  smallest = group_reduce(smallest, [](float x, float y) { return min_of(x, y); });
  largest = group_reduce(largest, [](float x, float y) { return max_of(x, y); });
  return {distances, k, reciprocal_or_zero(largest), smallest};
}

__device__ EntropySums entropy_sums(const ScaledRow& row, float beta) {
  EntropySums sums{};
  for (std::int64_t j = group_lane(); j < row.k; j += kGroupSize) {
    const float u = row.square(j) * beta;
    EntropySums::add(sums.y, sums.uy, sums.uuy, u, exp_fast(-u));
  }
  return {group_sum(sums.y), group_sum(sums.uy), group_sum(sums.uuy)};
}

__device__ float beta_of_row(const ScaledRow& row, float target_nats) {
  const float share = 1.0f / static_cast<float>(row.k);
  SquareMoments moments{};
  for (std::int64_t j = group_lane(); j < row.k; j += kGroupSize) {
    const float square = row.square(j);
    moments.mean += square * share;
    moments.mean_square += square * square * share;
    moments.ties += square == 0.0f ? 1.0f : 0.0f;
  }
  moments = {group_sum(moments.mean), group_sum(moments.mean_square), group_sum(moments.ties)};
  BetaBracket bracket = BetaBracket::start(moments, static_cast<float>(row.k), target_nats);
  if (!BetaBracket::has_root(moments, target_nats)) return bracket.high;
  for (int step = 0; step < BetaBracket::kMaxSteps; ++step) {
    if (bracket.update(entropy_sums(row, bracket.beta), target_nats)) break;
  }
  return bracket.beta;
}

// A lane reads back only the weights that it wrote, so no lane waits for another.
__device__ void write_weights(const ScaledRow& row, float beta, float* weights) {
  float sum = 0.0f;
  for (std::int64_t j = group_lane(); j < row.k; j += kGroupSize) {
    weights[j] = exp_fast(-beta * row.square(j));
    sum += weights[j];
  }
  const float inverse = 1.0f / group_sum(sum);
  for (std::int64_t j = group_lane(); j < row.k; j += kGroupSize) weights[j] *= inverse;
}

// A group of lanes a row.
__global__ void perplexity_kernel(PerplexityArgs args) {
  for (std::int64_t i = group_index(); i < args.n; i += group_count()) {
    const ScaledRow row = scaled_row(args.distances + i * args.k, args.k);
    const float beta = beta_of_row(row, args.target_nats);
    write_weights(row, beta, args.weights + i * args.k);
    if (group_lane() == 0) args.beta[i] = beta * row.scale * row.scale;
  }
}

}  // namespace

void perplexity(const PerplexityArgs& args, void* stream) {
  if (args.n == 0) return;
  const unsigned blocks = blocks_for(args.n, kBlockSize / kGroupSize);
  perplexity_kernel<<<blocks, kBlockSize, 0, as_stream(stream)>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
