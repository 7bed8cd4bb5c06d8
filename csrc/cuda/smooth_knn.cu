#include "../ops/smooth_knn.h"
#include "launch.cuh"

namespace fpd::cuda {
namespace {

struct Row {
  const float* distances;
  std::int64_t k;
  float rho;

  __device__ float offset(std::int64_t j) const { return offset_from(rho, distances[j]); }
};

__device__ float rho_of(const SmoothKnnRule& rule, const float* distances, std::int64_t k) {
  // Few passes over a cached row: every lane makes them, which costs what one lane would.
  if (rule.local_connectivity > 0.0f)
    return connectivity_rho(distances, k, rule.local_connectivity);
  float rho = INFINITY;
  for (std::int64_t j = group_lane(); j < k; j += kGroupSize) rho = min_of(rho, distances[j]);
  return group_reduce(rho, [](float x, float y) { return min_of(x, y); });
}

__device__ RowSummary summary_of(const Row& row) {
  const float share = 1.0f / static_cast<float>(row.k);
  RowSummary part{};
  for (std::int64_t j = group_lane(); j < row.k; j += kGroupSize) {
    part.add(row.distances[j], row.offset(j), share);
  }
  return {group_sum(part.mean), group_sum(part.mean_offset), group_sum(part.at_rho)};
}

__device__ float inverse_of_row(const Row& row, const SmoothKnnRule& rule, float global_mean) {
  SigmaSearch search =
      SigmaSearch::start(rule, summary_of(row), row.rho, static_cast<float>(row.k), global_mean);
  SigmaBracket& bracket = search.bracket;
  for (int step = 0; search.open && step < SigmaBracket::kMaxSteps; ++step) {
    float sum = 0.0f, moment = 0.0f;
    for (std::int64_t j = group_lane(); j < row.k; j += kGroupSize) {
      SigmaBracket::add(sum, moment, row.offset(j) * bracket.inverse);
    }
    if (bracket.update(group_sum(sum), group_sum(moment), rule.target)) break;
  }
  return min_of(bracket.inverse, search.largest);
}

// A group of lanes a row.
__global__ void smooth_knn_kernel(SmoothKnnArgs args) {
  for (std::int64_t i = group_index(); i < args.n; i += group_count()) {
    const float* distances = args.distances + i * args.k;
    const Row row{distances, args.k, rho_of(args.rule, distances, args.k)};
    const float inverse = inverse_of_row(row, args.rule, *args.global_mean);
    float* weights = args.weights + i * args.k;
    for (std::int64_t j = group_lane(); j < args.k; j += kGroupSize) {
      weights[j] = membership_strength(row.offset(j), inverse);
    }
    if (group_lane() == 0) {
      args.rho[i] = row.rho;
      args.sigma[i] = reciprocal_or_zero(inverse);
    }
  }
}

}  // namespace

void smooth_knn(const SmoothKnnArgs& args, void* stream) {
  if (args.n == 0) return;
  const unsigned blocks = blocks_for(args.n, kBlockSize / kGroupSize);
  smooth_knn_kernel<<<blocks, kBlockSize, 0, as_stream(stream)>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
