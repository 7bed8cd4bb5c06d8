// Weighted choice with replacement by inversion: weights become integers, their running sum is
// exact in 64 bits, and a guide table (Chen & Asau 1974) leaves a search of about one cache line.
// Integers make the table and every draw the same on any device and for any number of threads.
#pragma once

#include <cstdint>

#include "math/support/philox.h"

namespace fpd {

// `scale` brings the largest weight to at most 2^32; a positive weight never becomes zero. Cut, not
// rounded: a product followed by a sum may be fused on one device and not on another.
FPD_HD std::int64_t quantised_weight(float weight, double scale) {
  const std::int64_t quantised = static_cast<std::int64_t>(weight * scale);
  return weight > 0.0f && quantised == 0 ? 1 : quantised;
}

struct CumulativeTable {
  const std::int64_t* cumulative;  // (size,) running sums of the quantised weights
  const std::int64_t* guide;       // (2^guide_bits + 1,) first entry of each slice of the sum
  std::int64_t size;
  int guide_bits;

  // First entry in [low, high] whose running sum exceeds `value`.
  FPD_HD std::int64_t find(std::int64_t value, std::int64_t low, std::int64_t high) const {
    while (low < high) {
      const std::int64_t middle = low + ((high - low) >> 1);
      if (cumulative[middle] > value) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  FPD_HD std::int64_t value_of(std::uint64_t bits) const {
    return static_cast<std::int64_t>(
        multiply_high(bits, static_cast<std::uint64_t>(cumulative[size - 1])));
  }

  // The guide's entry for the slice that starts at slice / 2^guide_bits of the sum.
  FPD_HD std::int64_t guide_entry(std::int64_t slice) const {
    if (slice >> guide_bits) return size - 1;
    const std::uint64_t bits =
        guide_bits == 0 ? 0 : static_cast<std::uint64_t>(slice) << (64 - guide_bits);
    return find(value_of(bits), 0, size - 1);
  }

  FPD_HD std::uint64_t slice_of(std::uint64_t bits) const {
    return guide_bits == 0 ? 0 : bits >> (64 - guide_bits);
  }

  FPD_HD std::int64_t draw(std::uint64_t bits) const {
    const std::uint64_t slice = slice_of(bits);
    return find(value_of(bits), guide[slice], guide[slice + 1]);
  }
};

}  // namespace fpd
