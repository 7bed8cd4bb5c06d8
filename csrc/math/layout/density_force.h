// densMAP's term (Narayan, Berger and Cho, Nature Biotechnology 39, 2021, "Methods"): the slope of
// the correlation between the local radii of the data and those of the embedding. A point's squared
// radius is the mean of its neighbours' squared distances d2, weighted by their strengths q.
#pragma once

#include "math/layout/layout_force.h"

namespace fpd {

// What a point puts into the slopes of its edges: its pull on the correlation over the sum of its
// strengths, and that over its squared radius. Pulls of both ends are added.
struct DensityPull {
  float by_strength;
  float by_square;
};

struct DensityForce {
  ModifiedCauchy curve;

  FPD_HD float strength(float d2) const {
    return ModifiedCauchy::strength(curve.scaled_power(d2 + kNothing));
  }

  // The slope of the correlation in d2, by the log radii of both ends.
  FPD_HD float slope(float d2, const DensityPull& pulls) const {
    d2 += kNothing;
    const float power = curve.coarse_scaled_power(d2);
    const float q = ModifiedCauchy::strength(power);
    const float fall = curve.b * power * q;  // of q, relative to that of d2
    return q * (pulls.by_square * (1.0f - fall) + pulls.by_strength * fall / d2);
  }
};

}  // namespace fpd
