// Lists of candidates, as operations on tiles of columns fill them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../ops/nearest_in_tile.h"

namespace fpd::cpu {

// Columns from `first` on join a row's list by their bounds. Of equal ones the earlier stays.
inline void join_list(const CandidateLists& lists, std::int64_t row, const float* found,
                      std::int64_t count, std::int64_t first) {
  const std::int64_t width = lists.width;
  float* const bounds = lists.bounds + row * width;
  std::int32_t* const indices = lists.indices + row * width;
  for (std::int64_t c = 0; c < count; ++c) {
    if (!(found[c] < bounds[width - 1])) continue;
    const std::int64_t place = std::upper_bound(bounds, bounds + width, found[c]) - bounds;
    std::copy_backward(bounds + place, bounds + width - 1, bounds + width);
    std::copy_backward(indices + place, indices + width - 1, indices + width);
    bounds[place] = found[c];
    indices[place] = static_cast<std::int32_t>(first + c);
  }
}

}  // namespace fpd::cpu
