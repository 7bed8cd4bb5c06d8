// Cross-entropy of one edge of the embedding: -log q for a positive edge, -log(1 - q) for a
// negative one, both clamped at epsilon, with their slopes in the squared distance.
#pragma once

#include <cfloat>

#include "math/support/low_dim_curve.h"

namespace fpd {

struct EdgeTerm {
  float loss;
  float slope;  // d loss / d d2
};

struct CrossEntropy {
  ModifiedCauchy curve;
  float epsilon;
  float repulsion_strength;

  FPD_HD EdgeTerm operator()(float d2, bool positive) const {
    // Coinciding points keep a finite slope; what is not a number stays so.
    d2 = min_of(FLT_MAX, max_of(FLT_MIN, d2));
    const float power = curve.scaled_power(d2);
    const float q = ModifiedCauchy::strength(power);
    // 1 - q is taken as q a d^2b: the difference would cancel for close points.
    const float likelihood = positive ? q : power * q;
    const float factor = positive ? power : -1.0f;
    const float scale = positive ? 1.0f : repulsion_strength;
    const float loss = 0.0f * d2 - log_fast(max_of(likelihood, epsilon));
    const float slope = likelihood < epsilon ? 0.0f : curve.b / d2 * q * factor;
    return {scale * loss, scale * slope};
  }
};

}  // namespace fpd
