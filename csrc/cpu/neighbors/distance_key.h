// A distance and an index as one integer that orders as the pair does: the bits of floats that are
// not negative ascend with them.
#pragma once

#include <cstdint>
#include <cstring>

#include "math/support/host_device.h"

namespace fpd::cpu {

FPD_INLINE std::uint64_t distance_key(float distance, std::int32_t index) {
  std::uint32_t bits;
  std::memcpy(&bits, &distance, sizeof bits);
  return (static_cast<std::uint64_t>(bits) << 32) | static_cast<std::uint32_t>(index);
}

FPD_INLINE float distance_of(std::uint64_t key) {
  const auto bits = static_cast<std::uint32_t>(key >> 32);
  float distance;
  std::memcpy(&distance, &bits, sizeof distance);
  return distance;
}

FPD_INLINE std::int32_t index_of(std::uint64_t key) { return static_cast<std::int32_t>(key); }

}  // namespace fpd::cpu
