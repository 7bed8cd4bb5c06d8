// A step of Adam (Kingma & Ba 2015, algorithm 1) on one tensor.
#pragma once

#include <cmath>
#include <cstdint>

#include "math/support/host_device.h"

namespace fpd {

struct AdamArgs {
  float* parameter;       // (size,) in and out
  float* mean;            // (size,) in and out, of the gradients
  float* square;          // (size,) in and out, of their squares
  const float* gradient;  // (size,)
  std::int64_t size;
  float beta1;
  float beta2;
  float epsilon;
  float step_size;     // the learning rate over the mean's bias correction
  float square_scale;  // one over the root of the square's bias correction
};

FPD_HD void adam_element(const AdamArgs& args, std::int64_t i) {
  const float gradient = args.gradient[i];
  const float mean = args.mean[i] + (1.0f - args.beta1) * (gradient - args.mean[i]);
  const float square = args.beta2 * args.square[i] + (1.0f - args.beta2) * gradient * gradient;
  args.mean[i] = mean;
  args.square[i] = square;
  args.parameter[i] -=
      args.step_size * mean / (std::sqrt(square) * args.square_scale + args.epsilon);
}

namespace cpu {
void adam(const AdamArgs& args, int threads);
}

}  // namespace fpd
