#include <string>
#include <type_traits>

#include "cuda/support/launch.cuh"
#include "ops/neighbors/rerank.h"

namespace fpd::cuda {
namespace {

constexpr int kRerankThreads = 128;              // of the block that takes a row
constexpr std::size_t kCommonShared = 48 << 10;  // bytes a kernel has without asking for more

// A group of lanes a pair of rows, summed in the order of the CPU's lanes.
template <typename DistanceType>
__device__ float row_distance(const DistanceType& distance, const float* x, const float* y,
                              std::int64_t dim) {
  float sum = 0.0f, norm = 0.0f;
  for (std::int64_t c = group_lane(); c < dim; c += kGroupSize) {
    distance.add(sum, norm, x[c], y[c]);
  }
  for (int bits = kGroupSize / 2; bits > 0; bits /= 2) {
    const float other_sum = group_exchange(sum, bits), other_norm = group_exchange(norm, bits);
    distance.merge(sum, norm, other_sum, other_norm);
  }
  return distance.finish(sum, norm);
}

// Whether a row's candidate counts: it is there, is not the row and did not come before.
__device__ bool is_wanted(const std::int32_t* candidates, std::int64_t j, std::int64_t self) {
  const std::int32_t candidate = candidates[j];
  bool dropped = candidate < 0 || candidate == self;
  for (std::int64_t i = group_lane(); i < j; i += kGroupSize) dropped |= candidates[i] == candidate;
  return !__any_sync(group_mask(), dropped);
}

// The place of candidate j by (distance, index), one place each: no two have the same index.
__device__ std::int64_t rank_of(const float* distances, const std::int32_t* candidates,
                                std::int64_t count, std::int64_t j) {
  const float distance = distances[j];
  const std::int32_t candidate = candidates[j];
  std::int64_t rank = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const float other = distances[i];
    rank += other < distance || (other == distance && candidates[i] < candidate);
  }
  return rank;
}

// A block a row. A dropped candidate's distance is NaN, which no comparison counts.
template <typename DistanceType>
__global__ void rerank_kernel(RerankArgs args, DistanceType distance) {
  extern __shared__ float distances[];
  for (std::int64_t row = blockIdx.x; row < args.rows; row += gridDim.x) {
    const std::int64_t self = args.point(row);
    const std::int32_t* candidates = args.candidates + row * args.count;
    for (std::int64_t j = threadIdx.x / kGroupSize; j < args.count;
         j += kRerankThreads / kGroupSize) {
      float found = NAN;
      if (is_wanted(candidates, j, self)) {
        found =
            row_distance(distance, args.values(row), args.X + candidates[j] * args.dim, args.dim);
      }
      if (group_lane() == 0) distances[j] = found;
    }
    for (std::int64_t j = threadIdx.x; j < args.k; j += kRerankThreads) {
      args.distances[row * args.k + j] = INFINITY;
      args.indices[row * args.k + j] = -1;
    }
    __syncthreads();
    for (std::int64_t j = threadIdx.x; j < args.count; j += kRerankThreads) {
      if (isnan(distances[j])) continue;
      const std::int64_t rank = rank_of(distances, candidates, args.count, j);
      if (rank >= args.k) continue;
      args.distances[row * args.k + rank] = distances[j];
      args.indices[row * args.k + rank] = candidates[j];
    }
    __syncthreads();
  }
}

// Bytes of shared memory for a row's distances, once the device is known to have them.
std::size_t shared_bytes(std::int64_t count) {
  const auto most = static_cast<std::int64_t>(shared_memory_limit() / sizeof(float));
  if (count > most) {
    throw std::runtime_error("rerank on this device takes at most " + std::to_string(most) +
                             " candidates a row, not " + std::to_string(count));
  }
  return static_cast<std::size_t>(count) * sizeof(float);
}

}  // namespace

void rerank(const RerankArgs& args, void* stream) {
  if (args.rows == 0 || args.k == 0) return;
  const std::size_t bytes = shared_bytes(args.count);
  visit_metric(args.metric, args.p, args.dim, [&](const auto& distance) {
    const auto kernel = rerank_kernel<std::decay_t<decltype(distance)>>;
    if (bytes > kCommonShared) allow_shared_memory(kernel, bytes);
    kernel<<<blocks_for(args.rows, 1), kRerankThreads, bytes, as_stream(stream)>>>(args, distance);
    FPD_CUDA_CHECK(cudaGetLastError());
  });
}

}  // namespace fpd::cuda
