// Half precision by its bits, where there is no type for it.
#pragma once

#include <cstdint>

#include "math/support/elementary.h"

namespace fpd {

// Exact; infinities and NaN stay what they are.
FPD_HD float half_value(std::uint16_t half) {
  constexpr std::int32_t first_normal = 0x0400, infinity = 0x7c00, rebias = 127 - 15;
  const std::int32_t sign = (half & 0x8000) << 16, rest = half & 0x7fff;
  if (rest < first_normal) {  // 2^-24 apart; no subnormal float, which may be set to count as zero
    const float size = static_cast<float>(rest) * 0x1p-24f;
    return sign == 0 ? size : -size;
  }
  return float_of(sign |
                  (rest >= infinity ? 0x7f800000 | rest << 13 : (rest << 13) + (rebias << 23)));
}

}  // namespace fpd
