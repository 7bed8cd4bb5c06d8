// The modified Cauchy curve q = 1 / (1 + a d^2b), the membership strength in the embedding
// (McInnes et al., "UMAP", arXiv 1802.03426, eq. 17), as a function of the squared distance d2.
#pragma once

#include "math/support/elementary.h"

namespace fpd {

struct ModifiedCauchy {
  float a;
  float b;

  // a d^2b, kept below 1e30 so that its product with q stays finite.
  FPD_HD float scaled_power(float d2) const { return min_of(a * pow_fast(d2, b), 1e30f); }
  // The same for stochastic gradients, below 2^100 a.
  FPD_HD float coarse_scaled_power(float d2) const { return a * pow_coarse(d2, b); }
  FPD_HD static float strength(float scaled_power) { return 1.0f / (1.0f + scaled_power); }
};

}  // namespace fpd
