// The layout of sgd_layout where distances between positions are those of another metric: the same
// samples, draws and steps, with moves along the gradient of the distance.
#pragma once

#include "math/layout/output_metrics.h"
#include "ops/layout/sgd_layout.h"

namespace fpd {

enum class OutputMetric {
  minkowski,
  chebyshev,
  mahalanobis,
  cosine,
  correlation,
  canberra,
  braycurtis,
  sphere,
  hyperboloid,
  spherical_gaussian,
  diagonal_gaussian,
  gaussian,
  function,
};

struct MetricLayoutArgs {
  SgdLayoutArgs layout;  // without densMAP's term
  OutputMetric metric;
  double p;                  // of minkowski
  const double* parameters;  // weights (dim,) of minkowski, the matrix (dim, dim) of mahalanobis
  MetricFunction::Pointer function;
};

// Factors of the gradient of the distance in the head's move: those of LayoutForce for a gradient
// of length 1. Energies may be below zero, where nothing pulls or pushes.
struct MetricForce {
  LayoutForce force;

  double power(double distance) const {
    return force.curve.scaled_power(static_cast<float>(distance * distance) + kNothing);
  }
  double attraction(double distance) const {
    if (!(distance > 0.0)) return 0.0;
    const double scaled = power(distance);
    return -2.0 * force.curve.b * scaled / (distance * (1.0 + scaled));
  }
  double repulsion(double distance) const {
    if (!(distance > 0.0)) return 0.0;
    const double softened = kSoftening + distance * distance;
    return 2.0 * force.repulsion_strength * force.curve.b * distance /
           (softened * (1.0 + power(distance)));
  }
};

namespace cpu {
void metric_layout(const MetricLayoutArgs& args, int threads);
}  // namespace cpu

}  // namespace fpd
