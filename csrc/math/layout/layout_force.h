// The moves of UMAP's stochastic layout (McInnes et al., "UMAP", arXiv 1802.03426, section 4.2):
// the gradients of the cross-entropy's two terms, the repulsion softened and each component cut,
// and the schedule by which an edge is sampled in proportion to its weight.
#pragma once

#include <cstdint>

#include "math/support/low_dim_curve.h"

namespace fpd {

constexpr float kTermLimit = 4.0f;  // of each component of an edge's term, as in UMAP
// Of each component of a point's sum: hubs take no longer steps than two edges together.
constexpr float kSumLimit = 8.0f;
// With densMAP's term, whose terms are as large as the limit far more often.
constexpr float kDensitySumLimit = 5.0f;
constexpr float kSoftening = 1e-3f;  // of the squared distance in a repulsion, as in UMAP
// Keeps the factors of coinciding points finite: added, since a maximum costs the vectoriser.
constexpr float kNothing = 1e-12f;

FPD_HD float limited(float x, float limit) { return max_of(-limit, min_of(x, limit)); }

// Factors of the difference head - tail in the head's move.
struct LayoutForce {
  ModifiedCauchy curve;
  float repulsion_strength;

  FPD_HD float attraction(float d2) const {
    d2 += kNothing;
    const float power = curve.coarse_scaled_power(d2);
    return -2.0f * curve.b * coarse_quotient(power, d2 * (1.0f + power));
  }

  FPD_HD float repulsion(float d2) const {
    const float power = curve.coarse_scaled_power(d2 + kNothing);
    return coarse_quotient(2.0f * repulsion_strength * curve.b, (kSoftening + d2) * (1.0f + power));
  }
};

// Samples of an edge an epoch, where one of the largest weight has one.
FPD_HD float samples_per_epoch(float weight, float largest) {
  return min_of(1.0f, weight / largest);
}

// Samples of an edge an epoch from 16 bits: 65,536ths, of which the largest number stands for one.
FPD_HD float share_of_narrow(std::uint16_t narrow) {
  const std::int32_t parts = narrow;
  return static_cast<float>(parts + (parts == 0xffff)) * (1.0f / 65536.0f);
}

// Whether an edge is sampled in an epoch: the number of samples until its end is the whole part of
// (epoch + 1) share.
FPD_HD bool is_sampled(float share, std::int64_t epoch) {
  // Products below 2^24 are truncated alike on every device; nothing is added that could be fused.
  const float before = share * static_cast<float>(epoch);
  const float after = share * static_cast<float>(epoch + 1);
  return static_cast<std::int32_t>(after) > static_cast<std::int32_t>(before);
}

}  // namespace fpd
