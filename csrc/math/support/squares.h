// Squared distances between places whose coordinates lie one after the other.
#pragma once

#include <cstdint>

#include "math/support/host_device.h"

namespace fpd {

// The squared distance of a place from the one of some number, of `count` whose coordinates lie one
// after the other.
FPD_HD float squared_distance(const float* place, const float* coordinates, std::int64_t number,
                              std::int64_t count, std::int64_t dim) {
  float d2 = 0.0f;
  for (std::int64_t c = 0; c < dim; ++c) {
    const float difference = coordinates[c * count + number] - place[c];
    d2 += difference * difference;
  }
  return d2;
}

}  // namespace fpd
