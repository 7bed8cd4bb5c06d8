#include "ops/graph/smooth_knn.h"

#include <algorithm>
#include <vector>

#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kBlocksPerPiece = 128;

// kLanes rows at a time, one in each lane: their searches hide each other's latency.
struct Lanes {
  float rho[kLanes];
  float inverse[kLanes];  // where the search starts, then 1 / sigma
  float largest[kLanes];  // bound of `inverse`
  float settled[kLanes];  // 1 once there is nothing left to search
};

FPD_HD float rho_of(const SmoothKnnArgs& args, const float* distances) {
  if (args.rule.local_connectivity > 0.0f) {
    return connectivity_rho(distances, args.k, args.rule.local_connectivity);
  }
  float rho = INFINITY;
  for (std::int64_t j = 0; j < args.k; ++j) rho = min_of(rho, distances[j]);
  return rho;
}

// One row into lane l of `offsets` (k, kLanes).
FPD_HD void load_row(const SmoothKnnArgs& args, const float* distances, std::int64_t l,
                     float* offsets, Lanes& lanes) {
  const float k = static_cast<float>(args.k);
  const float rho = rho_of(args, distances);
  const float share = 1.0f / k;
  RowSummary row{};
  for (std::int64_t j = 0; j < args.k; ++j) {
    const float offset = offset_from(rho, distances[j]);
    offsets[j * kLanes + l] = offset;
    row.add(distances[j], offset, share);
  }
  const SigmaSearch search = SigmaSearch::start(args.rule, row, rho, k, *args.global_mean);
  lanes.rho[l] = rho;
  lanes.largest[l] = search.largest;
  lanes.inverse[l] = search.bracket.inverse;
  lanes.settled[l] = search.open ? 0.0f : 1.0f;
}

FPD_HD void search(const SmoothKnnArgs& args, const float* offsets, Lanes& lanes) {
  float low[kLanes] = {}, high[kLanes];
  for (std::int64_t l = 0; l < kLanes; ++l) high[l] = INFINITY;
  for (int step = 0; step < SigmaBracket::kMaxSteps; ++step) {
    float sums[kLanes] = {}, moments[kLanes] = {};
    for (std::int64_t j = 0; j < args.k; ++j) {
      for (std::int64_t l = 0; l < kLanes; ++l) {
        SigmaBracket::add(sums[l], moments[l], offsets[j * kLanes + l] * lanes.inverse[l]);
      }
    }
    float settled = 0.0f;
    for (std::int64_t l = 0; l < kLanes; ++l) {
      SigmaBracket bracket{lanes.inverse[l], low[l], high[l]};
      const float done = bracket.update(sums[l], moments[l], args.rule.target) ? 1.0f : 0.0f;
      low[l] = bracket.low;
      high[l] = bracket.high;
      lanes.inverse[l] = lanes.settled[l] > 0.0f ? lanes.inverse[l] : bracket.inverse;
      lanes.settled[l] = max_of(lanes.settled[l], done);
      settled += lanes.settled[l];
    }
    if (settled == static_cast<float>(kLanes)) break;
  }
  for (std::int64_t l = 0; l < kLanes; ++l) {
    lanes.inverse[l] = min_of(lanes.inverse[l], lanes.largest[l]);
  }
}

FPD_INLINE void smooth_block(const SmoothKnnArgs& args, std::int64_t first, std::int64_t rows,
                             float* offsets) {
  Lanes lanes;
  for (std::int64_t l = 0; l < kLanes; ++l) {
    const std::int64_t row = first + std::min(l, rows - 1);  // spare lanes repeat the last row
    load_row(args, args.distances + row * args.k, l, offsets, lanes);
  }
  search(args, offsets, lanes);
  for (std::int64_t j = 0; j < args.k; ++j) {
    for (std::int64_t l = 0; l < kLanes; ++l) {
      float& offset = offsets[j * kLanes + l];
      offset = membership_strength(offset, lanes.inverse[l]);
    }
  }
  for (std::int64_t l = 0; l < rows; ++l) {
    const float inverse = lanes.inverse[l];
    args.rho[first + l] = lanes.rho[l];
    args.sigma[first + l] = reciprocal_or_zero(inverse);
    for (std::int64_t j = 0; j < args.k; ++j) {
      args.weights[(first + l) * args.k + j] = offsets[j * kLanes + l];
    }
  }
}

}  // namespace

void smooth_knn(const SmoothKnnArgs& args, int threads) {
  constexpr std::int64_t rows_per_piece = kBlocksPerPiece * kLanes;
  parallel_for(args.n, rows_per_piece, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> offsets(args.k * kLanes);
    for (std::int64_t first = begin; first < end; first += kLanes) {
      at_simd_level<smooth_block>(args, first, std::min(kLanes, end - first), offsets.data());
    }
  });
}

}  // namespace fpd::cpu
