// The nearest float with the 10 bits of mantissa that tensor cores take of a float32 factor.
#pragma once

#include "math/support/elementary.h"

namespace fpd {

// Ties go away from zero; infinities and NaN stay.
FPD_HD float to_tf32(float x) {
  constexpr std::int32_t infinity = 0x7f800000, half_unit = 0x1000, dropped = 0x1fff;
  const std::int32_t bits = bits_of(x);
  return (bits & infinity) == infinity ? x : float_of((bits + half_unit) & ~dropped);
}

}  // namespace fpd
