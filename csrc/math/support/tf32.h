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

// A number as the sum of two with 10 bits of mantissa, but for 2^-21 of it.
struct SplitNumber {
  float high;
  float low;
};

// Of what is not finite one of the two is NaN.
FPD_HD SplitNumber split_tf32(float x) {
  constexpr std::uint32_t half_unit = 0x1000, dropped = 0x1fff;
  const std::uint32_t bits = static_cast<std::uint32_t>(bits_of(x)) + half_unit;
  const float high = float_of(static_cast<std::int32_t>(bits & ~dropped));
  return {high, float_of(bits_of(x - high) & ~static_cast<std::int32_t>(dropped))};
}

}  // namespace fpd
