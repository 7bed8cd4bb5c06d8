// A step of Adam (Kingma & Ba 2015, algorithm 1) on one tensor.
#pragma once

#include <cmath>
#include <cstdint>

#include "math/support/host_device.h"

namespace fpd {

struct AdamRule {
  float beta1;
  float beta2;
  float epsilon;
  float step_size;     // the learning rate over the mean's bias correction
  float square_scale;  // one over the root of the square's bias correction
};

struct AdamArgs {
  float* parameter;       // (size,) in and out
  float* mean;            // (size,) in and out, of the gradients
  float* square;          // (size,) in and out, of their squares
  const float* gradient;  // (size,)
  std::int64_t size;
  AdamRule rule;
};

// A parameter with its running means, by its gradient.
FPD_HD void adam_update(const AdamRule& rule, float gradient, float& parameter, float& old_mean,
                        float& old_square) {
  const float mean = old_mean + (1.0f - rule.beta1) * (gradient - old_mean);
  const float square = rule.beta2 * old_square + (1.0f - rule.beta2) * gradient * gradient;
  old_mean = mean;
  old_square = square;
  parameter -= rule.step_size * mean / (std::sqrt(square) * rule.square_scale + rule.epsilon);
}

FPD_HD void adam_element(const AdamArgs& args, std::int64_t i) {
  adam_update(args.rule, args.gradient[i], args.parameter[i], args.mean[i], args.square[i]);
}

namespace cpu {
void adam(const AdamArgs& args, int threads);
}

}  // namespace fpd
