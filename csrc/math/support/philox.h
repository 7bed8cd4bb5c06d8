// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a
// counter-based generator, so any thread of any device computes any draw without shared state.
#pragma once

#include <cstdint>

#include "math/support/host_device.h"

namespace fpd {

struct PhiloxBits {
  std::uint64_t low;
  std::uint64_t high;
};

// One of the ten rounds, on a counter of four words and the round's key.
FPD_HD void philox_round(std::uint32_t& c0, std::uint32_t& c1, std::uint32_t& c2, std::uint32_t& c3,
                         std::uint32_t k0, std::uint32_t k1) {
  const std::uint64_t p0 = 0xD2511F53ull * c0;
  const std::uint64_t p1 = 0xCD9E8D57ull * c2;
  c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
  c1 = static_cast<std::uint32_t>(p1);
  c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
  c3 = static_cast<std::uint32_t>(p0);
}

constexpr int kPhiloxRounds = 10;
constexpr std::uint32_t kPhiloxKeyStep0 = 0x9E3779B9u;
constexpr std::uint32_t kPhiloxKeyStep1 = 0xBB67AE85u;

// The rounds of a block, unrolled by its type: a loop over lanes around it vectorises.
template <int rounds = kPhiloxRounds>
FPD_HD void philox_rounds(std::uint32_t& c0, std::uint32_t& c1, std::uint32_t& c2,
                          std::uint32_t& c3, std::uint32_t k0, std::uint32_t k1) {
  philox_round(c0, c1, c2, c3, k0, k1);
  if constexpr (rounds > 1) {
    philox_rounds<rounds - 1>(c0, c1, c2, c3, k0 + kPhiloxKeyStep0, k1 + kPhiloxKeyStep1);
  }
}

// 128 random bits of (seed, step, lane, block). Lanes are the parallel units of one step; a lane
// that needs more than 128 bits takes further blocks.
FPD_HD PhiloxBits philox(std::uint64_t seed, std::uint64_t step, std::uint32_t lane,
                         std::uint32_t block) {
  std::uint32_t c0 = lane, c1 = block;
  std::uint32_t c2 = static_cast<std::uint32_t>(step), c3 = static_cast<std::uint32_t>(step >> 32);
  philox_rounds(c0, c1, c2, c3, static_cast<std::uint32_t>(seed),
                static_cast<std::uint32_t>(seed >> 32));
  return {(static_cast<std::uint64_t>(c1) << 32) | c0, (static_cast<std::uint64_t>(c3) << 32) | c2};
}

// A fifth word from the four of a block: any four of the five are independent.
FPD_HD std::uint32_t fifth_word(std::uint32_t w0, std::uint32_t w1, std::uint32_t w2,
                                std::uint32_t w3) {
  return w0 ^ w1 ^ w2 ^ w3;
}

#if !defined(__CUDA_ARCH__)
__extension__ typedef unsigned __int128 Uint128;  // no part of ISO C++
#endif

// The upper half of a 64 x 64 bit product: maps 64 random bits to [0, n) without a division.
FPD_HD std::uint64_t multiply_high(std::uint64_t x, std::uint64_t n) {
#if defined(__CUDA_ARCH__)
  return __umul64hi(x, n);
#else
  return static_cast<std::uint64_t>((static_cast<Uint128>(x) * n) >> 64);
#endif
}

}  // namespace fpd
