// densMAP's part of the layout: the local radii of the positions, and a step up the slope of their
// correlation with given ones. Every point takes its own edges, in both of whose directions the
// graph has the same weight, so a point has one writer.
#pragma once

#include <cstdint>

#include "../math/density_force.h"

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

struct DensityStepArgs {
  float* moved;              // (n, dim) out
  const float* weights;      // (edges,) positive
  const DensityPull* pulls;  // (n,)
  DensityGraph graph;
  float gain;     // of an edge's slope, before its weight divides it
  float samples;  // of an edge of weight 1 in an epoch, both of its ends counted
  float size;     // of the step
};

// The move that an edge's samples of an epoch add up to in UMAP, where each is cut on its own.
FPD_HD float density_factor(const DensityStepArgs& args, float d2, float weight,
                            const DensityPull& head, const DensityPull& tail) {
  const float slope = args.graph.force.slope(d2, head.by_strength + tail.by_strength,
                                             head.by_square + tail.by_square);
  return args.gain * slope / weight;
}

FPD_HD float density_term(const DensityStepArgs& args, float factor, float difference,
                          float weight) {
  return args.samples * weight * limited(factor * difference, kTermLimit);
}

// The sum is not cut: radii would fall short of those of the data.
FPD_HD float density_moved(const DensityStepArgs& args, float position, float sum) {
  return position + args.size * sum;
}

namespace cpu {
void density_radii(const DensityRadiiArgs& args, int threads);
void density_step(const DensityStepArgs& args, int threads);
}  // namespace cpu
namespace cuda {
void density_radii(const DensityRadiiArgs& args, void* stream);
void density_step(const DensityStepArgs& args, void* stream);
}  // namespace cuda

}  // namespace fpd
