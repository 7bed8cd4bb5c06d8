// The local radii of positions, for densMAP: a point's edges alone, so it has one writer.
#pragma once

#include <cstdint>

#include "math/layout/density_force.h"

namespace fpd {

struct DensityGraph {
  const float* positions;      // (n, dim)
  const std::int64_t* indptr;  // (n + 1,)
  const std::int32_t* tails;   // (edges,)
  std::int64_t n;
  std::int64_t dim;
  DensityForce force;
};

struct DensityRadiiArgs {
  float* squares;    // (n,) out: weighted mean of the squared distances, 0 without edges
  float* strengths;  // (n,) out: sum of the strengths
  DensityGraph graph;
};

namespace cpu {
void density_radii(const DensityRadiiArgs& args, int threads);
}  // namespace cpu
namespace cuda {
void density_radii(const DensityRadiiArgs& args, void* stream);
}  // namespace cuda

}  // namespace fpd
