#include "ops/neighbors/rerank.h"

#include <algorithm>
#include <vector>

#include "cpu/neighbors/candidates.h"
#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kMaxRowsPerPiece = 64;
constexpr std::int64_t kCoordinatesPerPiece = 1 << 18;  // compared

template <typename DistanceType>
FPD_HD float row_distance(const DistanceType& distance, const float* x, const float* y,
                          std::int64_t dim) {
  float sums[kLanes] = {}, norms[kLanes] = {};
  std::int64_t c = 0;
  for (; c + kLanes <= dim; c += kLanes) {
    for (std::int64_t l = 0; l < kLanes; ++l) distance.add(sums[l], norms[l], x[c + l], y[c + l]);
  }
  for (std::int64_t l = 0; c + l < dim; ++l) distance.add(sums[l], norms[l], x[c + l], y[c + l]);
  for (std::int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::int64_t l = 0; l < width; ++l) {
      distance.merge(sums[l], norms[l], sums[l + width], norms[l + width]);
    }
  }
  return distance.finish(sums[0], norms[0]);
}

// Distances of one row to its candidates; empty ones are left as they are.
FPD_INLINE void row_distances(const RerankArgs& args, std::int64_t row, float* distances) {
  const float* x = args.values(row);
  const std::int32_t* candidates = args.candidates + row * args.count;
  visit_metric(args.metric, args.p, args.dim, [&](const auto& distance) FPD_INLINE_LAMBDA {
    for (std::int64_t j = 0; j < args.count; ++j) {
      if (candidates[j] < 0) continue;
      distances[j] = row_distance(distance, x, args.X + candidates[j] * args.dim, args.dim);
    }
  });
}

}  // namespace

void rerank(const RerankArgs& args, int threads) {
  const std::int64_t each = std::max<std::int64_t>(1, args.count * args.dim);
  const std::int64_t grain =
      std::clamp<std::int64_t>(kCoordinatesPerPiece / each, 1, kMaxRowsPerPiece);
  parallel_for(args.rows, grain, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> distances(args.count);
    std::vector<Candidate> found;
    found.reserve(args.count);
    for (std::int64_t row = begin; row < end; ++row) {
      found.clear();
      at_simd_level<row_distances>(args, row, distances.data());
      for (std::int64_t j = 0; j < args.count; ++j) {
        const std::int32_t other = args.candidates[row * args.count + j];
        if (other < 0 || other == args.point(row)) continue;
        found.emplace_back(distances[j], other);
      }
      write_nearest(found, args.k, args.indices + row * args.k, args.distances + row * args.k);
    }
  });
}

}  // namespace fpd::cpu
