// Squared distances from one place to many, whose coordinates lie one after the other.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/support/simd.h"

namespace fpd::cpu {

// squares[i] = |place - (coordinates[i], coordinates[stride + i], ...)|^2 for i < count.
FPD_INLINE void squared_distances(float* squares, const float* place, const float* coordinates,
                                  std::int64_t stride, std::int64_t count, std::int64_t dim) {
  std::fill_n(squares, count, 0.0f);
  for (std::int64_t c = 0; c < dim; ++c) {
    const float* coordinate = coordinates + c * stride;
    const float own = place[c];
#pragma GCC ivdep
    for (std::int64_t i = 0; i < count; ++i) {
      squares[i] += (coordinate[i] - own) * (coordinate[i] - own);
    }
  }
}

}  // namespace fpd::cpu
