// Cross-entropy of scores of anchors beside what a position asks for: of each anchor as much as a
// Gaussian of their distance says, whose width is the reach of the nearest anchor. A regression as
// a classification (Imani and White 2018, arXiv 1806.04613).
#pragma once

#include <cfloat>

#include "math/support/elementary.h"

namespace fpd {

struct AnchorShare {
  float nearest;  // squared distance of the nearest anchor
  float factor;   // 1 / (2 reach^2) of that anchor

  FPD_HD AnchorShare(float nearest, float reach)
      : nearest(nearest), factor(0.5f / max_of(reach * reach, FLT_MIN)) {}
  // 1 for the nearest anchor.
  FPD_HD float operator()(float d2) const { return exp_fast((nearest - d2) * factor); }
};

// What a row's sums over anchors say: with the shares w and e = exp(score - largest score).
struct AnchorSums {
  float shares;    // of w
  float odds;      // of e
  float products;  // of w (score - largest score)

  FPD_HD float loss() const { return log_fast(odds) - products / shares; }
  // In one score.
  FPD_HD float slope(float share, float odd) const { return odd / odds - share / shares; }
};

}  // namespace fpd
