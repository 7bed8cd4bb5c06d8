#include "cuda/support/launch.cuh"
#include "ops/graph/smooth_knn.h"

namespace fpd::cuda {
namespace {

// A row's distances in the registers of a group, up to `per_lane` in each of its lanes.
template <int per_lane>
struct Distances {
  float values[per_lane];
  std::int64_t k;

  __device__ Distances(const float* row, std::int64_t k) : k(k) {
#pragma unroll
    for (int s = 0; s < per_lane; ++s) {
      const std::int64_t j = s * kGroupSize + group_lane();
      values[s] = j < k ? row[j] : 0.0f;
    }
  }

  // f(place, distance) for what the lane holds.
  template <typename F>
  __device__ void each(F&& f) const {
#pragma unroll
    for (int s = 0; s < per_lane; ++s) {
      const std::int64_t j = s * kGroupSize + group_lane();
      if (j < k) f(j, values[s]);
    }
  }
};

// Longer rows stay in memory, or in the cache.
template <>
struct Distances<0> {
  const float* row;
  std::int64_t k;

  __device__ Distances(const float* row, std::int64_t k) : row(row), k(k) {}

  template <typename F>
  __device__ void each(F&& f) const {
    for (std::int64_t j = group_lane(); j < k; j += kGroupSize) f(j, row[j]);
  }
};

template <typename Held>
__device__ float rho_of(const SmoothKnnRule& rule, const Held& held, const float* row) {
  const bool nearest_nonzero = rule.local_connectivity == 1.0f;
  if (rule.local_connectivity > 0.0f && !nearest_nonzero) {
    // Few passes over a cached row: every lane makes them, which costs what one lane would.
    return connectivity_rho(row, held.k, rule.local_connectivity);
  }
  float rho = INFINITY;
  held.each([&](std::int64_t, float distance) {
    rho = distance > 0.0f || !nearest_nonzero ? min_of(rho, distance) : rho;
  });
  rho = group_reduce(rho, [](float x, float y) { return min_of(x, y); });
  return rho < INFINITY ? rho : 0.0f;
}

template <typename Held>
__device__ RowSummary summary_of(const Held& held, float rho) {
  const float share = 1.0f / static_cast<float>(held.k);
  RowSummary part{};
  held.each(
      [&](std::int64_t, float distance) { part.add(distance, offset_from(rho, distance), share); });
  return {group_sum(part.mean), group_sum(part.mean_offset), group_sum(part.at_rho)};
}

template <typename Held>
__device__ float inverse_of_row(const Held& held, float rho, const SmoothKnnRule& rule,
                                float global_mean) {
  SigmaSearch search =
      SigmaSearch::start(rule, summary_of(held, rho), rho, static_cast<float>(held.k), global_mean);
  SigmaBracket& bracket = search.bracket;
  for (int step = 0; search.open && step < SigmaBracket::kMaxSteps; ++step) {
    float sum = 0.0f, moment = 0.0f;
    held.each([&](std::int64_t, float distance) {
      SigmaBracket::add(sum, moment, offset_from(rho, distance) * bracket.inverse);
    });
    if (bracket.update(group_sum(sum), group_sum(moment), rule.target)) break;
  }
  return min_of(bracket.inverse, search.largest);
}

// A group of lanes a row.
template <int per_lane>
__global__ void smooth_knn_kernel(SmoothKnnArgs args) {
  for (std::int64_t i = group_index(); i < args.n; i += group_count()) {
    const float* row = args.distances + i * args.k;
    const Distances<per_lane> held(row, args.k);
    const float rho = rho_of(args.rule, held, row);
    const float inverse = inverse_of_row(held, rho, args.rule, *args.global_mean);
    float* weights = args.weights + i * args.k;
    held.each([&](std::int64_t j, float distance) {
      weights[j] = membership_strength(offset_from(rho, distance), inverse);
    });
    if (group_lane() == 0) {
      args.rho[i] = rho;
      args.sigma[i] = reciprocal_or_zero(inverse);
    }
  }
}

template <int per_lane>
void launch(const SmoothKnnArgs& args, void* stream) {
  const unsigned blocks = blocks_for(args.n, kBlockSize / kGroupSize);
  smooth_knn_kernel<per_lane><<<blocks, kBlockSize, 0, as_stream(stream)>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace

void smooth_knn(const SmoothKnnArgs& args, void* stream) {
  if (args.n == 0) return;
  if (args.k <= kGroupSize) return launch<1>(args, stream);
  if (args.k <= 2 * kGroupSize) return launch<2>(args, stream);
  if (args.k <= 4 * kGroupSize) return launch<4>(args, stream);
  if (args.k <= 8 * kGroupSize) return launch<8>(args, stream);
  launch<0>(args, stream);
}

}  // namespace fpd::cuda
