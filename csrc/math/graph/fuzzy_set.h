// Symmetrization of a directed weight w with the weight w_t of the opposite direction.
#pragma once

#include "math/support/host_device.h"

namespace fpd {

enum class SetOperation { mix = 0, mean = 1 };

struct Symmetrizer {
  SetOperation operation;
  float mix_ratio;  // mix only: 1 is the fuzzy union, 0 the fuzzy intersection

  FPD_HD float operator()(float w, float w_t) const {
    const float product = w * w_t;
    const float sum = w + w_t;
    return operation == SetOperation::mean
               ? 0.5f * sum
               : mix_ratio * (sum - product) + (1.0f - mix_ratio) * product;
  }
};

}  // namespace fpd
