// Squared distances from the products of rows, as matrix products give them.
#pragma once

#include "math/support/host_device.h"

namespace fpd {

// No more than |x - y|^2 - |x|^2 = |y|^2 - 2 <x, y>, where the product of the unit rows of x and y
// was taken with an error of at most `slack`: `cosine` is what came out.
FPD_HD float squared_distance_bound(float x_norm, float y_norm, float cosine, float slack) {
  return y_norm * (y_norm - 2.0f * x_norm * (cosine + slack));
}

// |x - y|^2 from squared norms and the product, or if that is more the share `rounding` of the
// norms' sum: what is below it may be anything. By default at least zero.
FPD_HD float squared_distance(float x_squared, float y_squared, float product,
                              float rounding = 0.0f) {
  const float sum = x_squared + y_squared;
  const float square = sum - 2.0f * product, least = rounding * sum;
  return square < least ? least : square;
}

}  // namespace fpd
