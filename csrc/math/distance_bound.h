// Squared distances from the cosines of rows, as matrix products give them in reduced precision.
#pragma once

#include "host_device.h"

namespace fpd {

// No more than |x - y|^2 - |x|^2 = |y|^2 - 2 <x, y>, where the product of the unit rows of x and y
// was taken with an error of at most `slack`: `cosine` is what came out.
FPD_HD float squared_distance_bound(float x_norm, float y_norm, float cosine, float slack) {
  return y_norm * (y_norm - 2.0f * x_norm * (cosine + slack));
}

}  // namespace fpd
