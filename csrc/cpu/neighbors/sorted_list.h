// Lists of candidates, as operations on tiles of columns fill them.
#pragma once

#include <algorithm>
#include <cstdint>

namespace fpd::cpu {

// A newcomer's place in a list, whose last entry goes. Of equal ones the earlier stays.
inline void insert(float* bounds, std::int32_t* indices, std::int64_t width, float bound,
                   std::int32_t index) {
  const std::int64_t place = std::upper_bound(bounds, bounds + width, bound) - bounds;
  std::copy_backward(bounds + place, bounds + width - 1, bounds + width);
  std::copy_backward(indices + place, indices + width - 1, indices + width);
  bounds[place] = bound;
  indices[place] = index;
}

}  // namespace fpd::cpu
