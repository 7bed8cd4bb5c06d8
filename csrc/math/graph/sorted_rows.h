// Rows of neighbours in ascending order, and the merge of two of them by position: each position
// of the merged row is found on its own, so that lanes and threads can share a row.
#pragma once

#include <cstdint>

#include "math/graph/fuzzy_set.h"
#include "math/support/elementary.h"

namespace fpd {

// A neighbour's index above, the bits of its weight below. Weights are not negative: ascending
// words are ascending neighbours, and weights of equal ones ascend too.
using Neighbor = std::uint64_t;

FPD_HD Neighbor neighbor_of(std::int32_t index, float weight) {
  return static_cast<Neighbor>(static_cast<std::uint32_t>(index)) << 32 |
         static_cast<std::uint32_t>(bits_of(weight));
}
FPD_HD std::int32_t index_of(Neighbor neighbor) {
  return static_cast<std::int32_t>(neighbor >> 32);
}
FPD_HD float weight_of(Neighbor neighbor) {
  return float_of(static_cast<std::int32_t>(static_cast<std::uint32_t>(neighbor)));
}

// One row of a sparse matrix and one of its transpose.
struct RowPair {
  const Neighbor* forward;
  const Neighbor* transposed;
  std::int64_t forward_count;
  std::int64_t transposed_count;

  FPD_HD std::int64_t count() const { return forward_count + transposed_count; }

  // How many of the first `position` neighbours of the merged row are the forward one's, which
  // come first among equals (merge path, Green et al. 2012).
  FPD_HD std::int64_t forward_before(std::int64_t position) const {
    std::int64_t low = position > transposed_count ? position - transposed_count : 0;
    std::int64_t high = position < forward_count ? position : forward_count;
    while (low < high) {
      const std::int64_t middle = low + ((high - low) >> 1);
      if (index_of(forward[middle]) <= index_of(transposed[position - 1 - middle])) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
};

struct JoinedNeighbor {
  std::int32_t tail;
  float weight;  // 0: no edge
};

// What stands at a position of the merged row. Of two equal neighbours the forward one becomes the
// edge, with both weights.
FPD_HD JoinedNeighbor joined_at(const RowPair& rows, std::int64_t position,
                                const Symmetrizer& symmetrizer) {
  const std::int64_t f = rows.forward_before(position), t = position - f;
  const std::int64_t none = std::int64_t{1} << 32;  // above all indices
  const Neighbor transposed = t < rows.transposed_count ? rows.transposed[t] : 0;
  const std::int64_t tail_t = t < rows.transposed_count ? index_of(transposed) : none;
  if (f < rows.forward_count) {
    const Neighbor forward = rows.forward[f];
    const std::int32_t tail = index_of(forward);
    if (tail <= tail_t) {
      const float opposite = tail == tail_t ? weight_of(transposed) : 0.0f;
      return {tail, symmetrizer(weight_of(forward), opposite)};
    }
  }
  const bool seen = f > 0 && index_of(rows.forward[f - 1]) == tail_t;
  return {index_of(transposed), seen ? 0.0f : symmetrizer(0.0f, weight_of(transposed))};
}

}  // namespace fpd
