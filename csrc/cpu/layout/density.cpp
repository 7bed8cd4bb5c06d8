#include "ops/layout/density.h"

#include <algorithm>
#include <vector>

#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kPointsPerPiece = 512;

// kLanes edges of a point: spare lanes lead to the point itself.
struct LanesOfEdges {
  std::int32_t tails[kLanes];
  float d2[kLanes];
  std::int64_t size;

  FPD_INLINE void load(const DensityGraph& graph, std::int64_t point, std::int64_t first,
                       float* differences) {
    size = std::min(kLanes, graph.indptr[point + 1] - first);
    for (std::int64_t l = 0; l < kLanes; ++l) {
      tails[l] = l < size ? graph.tails[first + l] : static_cast<std::int32_t>(point);
      d2[l] = 0.0f;
    }
    const float* head = graph.positions + point * graph.dim;
    for (std::int64_t c = 0; c < graph.dim; ++c) {
      float* row = differences + c * kLanes;
      for (std::int64_t l = 0; l < kLanes; ++l) {
        row[l] = head[c] - graph.positions[tails[l] * graph.dim + c];
      }
      for (std::int64_t l = 0; l < kLanes; ++l) d2[l] += row[l] * row[l];
    }
  }
};

FPD_INLINE void radii_of(const DensityRadiiArgs& args, std::int64_t begin, std::int64_t end,
                         float* differences) {
  const DensityForce force = args.graph.force;  // a copy: stores to the lanes cannot change it
  LanesOfEdges edges;
  for (std::int64_t i = begin; i < end; ++i) {
    float strengths[kLanes] = {}, squares[kLanes] = {};
    for (std::int64_t e = args.graph.indptr[i]; e < args.graph.indptr[i + 1]; e += kLanes) {
      edges.load(args.graph, i, e, differences);
      float found[kLanes];
      for (std::int64_t l = 0; l < kLanes; ++l) found[l] = force.strength(edges.d2[l]);
      for (std::int64_t l = 0; l < kLanes; ++l) found[l] = l < edges.size ? found[l] : 0.0f;
      for (std::int64_t l = 0; l < kLanes; ++l) {
        strengths[l] += found[l];
        squares[l] += found[l] * edges.d2[l];
      }
    }
    const float strength = lane_sum(strengths);
    args.strengths[i] = strength;
    args.squares[i] = lane_sum(squares) * reciprocal_or_zero(strength);
  }
}

}  // namespace

void density_radii(const DensityRadiiArgs& args, int threads) {
  parallel_for(args.graph.n, kPointsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> differences(args.graph.dim * kLanes);
    at_simd_level<radii_of>(args, begin, end, differences.data());
  });
}

}  // namespace fpd::cpu
