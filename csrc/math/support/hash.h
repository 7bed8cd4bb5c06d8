// Bits of integers mixed, where a choice must look random but need not be statistically sound.
#pragma once

#include <cstdint>

#include "math/support/host_device.h"

namespace fpd {

// The finalizer of MurmurHash3 (Appleby, 2011): every bit of x changes half of the result's.
FPD_HD std::uint32_t mixed_bits(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
  x = (x ^ (x >> 13)) * 0xC2B2AE35u;
  return x ^ (x >> 16);
}

}  // namespace fpd
