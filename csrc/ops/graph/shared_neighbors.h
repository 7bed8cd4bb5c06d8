// How many neighbours a point has in common with each of some candidates (Jarvis and Patrick,
// "Clustering using a similarity measure based on shared near neighbors", 1973).
#pragma once

#include <cstdint>

#include "math/support/host_device.h"

namespace fpd {

constexpr std::int64_t kSharedLanes = 16;  // entries of a list that are compared at a time

struct SharedNeighborsArgs {
  std::int32_t* counts;            // (n, k) out
  const std::int32_t* candidates;  // (n, k), -1 where there is none
  const std::int32_t* lists;       // (n, stride) the neighbours of each point, -1 beyond them
  std::int64_t n;
  std::int64_t k;
  std::int64_t stride;  // a multiple of kSharedLanes
};

// Neighbours in a list.
FPD_HD std::int64_t list_size(const std::int32_t* list, std::int64_t stride) {
  std::int64_t size = 0;
  while (size < stride && list[size] >= 0) ++size;
  return size;
}

// Which of `size` neighbours stand in another list, that names none twice.
FPD_HD std::int32_t count_shared(const std::int32_t* own, std::int64_t size,
                                 const std::int32_t* other, std::int64_t stride) {
  std::int32_t count = 0;
  for (std::int64_t first = 0; first < stride; first += kSharedLanes) {
    std::int32_t hits[kSharedLanes] = {};
    for (std::int64_t m = 0; m < size; ++m) {
      for (std::int64_t l = 0; l < kSharedLanes; ++l) hits[l] += other[first + l] == own[m] ? 1 : 0;
    }
    for (std::int64_t l = 0; l < kSharedLanes; ++l) count += hits[l];
  }
  return count;
}

namespace cpu {
void shared_neighbors(const SharedNeighborsArgs& args, int threads);
}
namespace cuda {
void shared_neighbors(const SharedNeighborsArgs& args, void* stream);
}

}  // namespace fpd
