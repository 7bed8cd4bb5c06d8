// t-SNE's conditional probabilities exp(-beta d^2) / Z with the precision beta such that their
// entropy is that of a uniform choice among `perplexity` neighbours (van der Maaten & Hinton 2008).
#pragma once

#include "math/support/elementary.h"

namespace fpd {

// Sums over a row of y = exp(-u), u = beta (d^2 - min d^2).
struct EntropySums {
  float y;    // sum of y
  float uy;   // sum of u y
  float uuy;  // sum of u^2 y

  FPD_HD float entropy() const { return log_fast(y) + uy / y; }  // in nats

  // By reference, for loops that keep each sum in lanes of its own.
  FPD_HD static void add(float& y, float& uy, float& uuy, float u, float strength) {
    y += strength;
    uy += u * strength;
    uuy += u * u * strength;
  }
};

// d^2 - d_min^2 times scale^2, as a product that keeps the digits of close distances: scaled after
// the difference, which is 0 for ties however products and sums are fused.
FPD_HD float shifted_square(float d, float smallest, float scale) {
  return (d - smallest) * scale * (d * scale + smallest * scale);
}

// Means over the k neighbours of a row of d^2 - d_min^2 and of its square.
struct SquareMoments {
  float mean;
  float mean_square;
  float ties;  // neighbours at the smallest distance
};

struct BetaBracket {
  static constexpr int kMaxSteps = 64;
  // Newton's error squares with each step, so that a step this small is the last one.
  static constexpr float kLastStep = 1e-3f;

  float beta;
  float low;
  float high;

  // The start is where the entropy's expansion, log k - beta^2 var(d^2) / 2, meets the target.
  // `high` stands where ties at the smallest distance leave the entropy without a root: a width
  // of a thousandth of the root mean square, the share that UMAP bounds sigma by.
  FPD_HD static BetaBracket start(const SquareMoments& moments, float k, float target_nats) {
    const float scale = reciprocal_or_zero(moments.mean), high = 1e6f * scale;
    const float variance = moments.mean_square - moments.mean * moments.mean;
    const float drop = log_fast(k) - target_nats;
    const float guess = sqrtf(2.0f * drop / variance);
    return {guess > 0.0f && guess < high ? guess : scale, 0.0f, high};
  }

  // `ties` neighbours at the smallest distance keep the entropy at or above their log.
  FPD_HD static bool has_root(const SquareMoments& moments, float target_nats) {
    return log_fast(moments.ties) < target_nats;
  }

  // Newton in log beta: d entropy / d log beta is minus the variance of u. True once settled.
  FPD_HD bool update(const EntropySums& sums, float target_nats) {
    const float excess = sums.entropy() - target_nats;
    const float mean = sums.uy / sums.y;
    const float variance = sums.uuy / sums.y - mean * mean;
    if (excess > 0.0f) {
      low = beta;
    } else {
      high = beta;
    }
    const float step = max_of(-2.0f, min_of(excess / max_of(variance, 1e-12f), 2.0f));
    const float newton = beta * exp_fast(step);
    // A settled beta stays: it is an end of the bracket, whose middle may lie far off.
    if (newton == beta || (excess < 3e-7f && excess > -3e-7f)) return true;
    const bool within = newton > low && newton < high;
    const float next = within ? newton : 0.5f * (low + high);
    const bool settled = next == beta || (within && magnitude(step) < kLastStep);
    beta = next;
    return settled;
  }
};

}  // namespace fpd
