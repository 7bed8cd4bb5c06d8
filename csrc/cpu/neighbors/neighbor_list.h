// One point's list of neighbours, ascending by (distance, index), and what joins it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu/neighbors/distance_key.h"
#include "cpu/support/simd.h"
#include "ops/neighbors/nn_descent.h"

namespace fpd::cpu {

struct NeighborList {
  std::int32_t* indices;
  float* distances;
  std::uint8_t* rounds;
  std::int64_t width;

  FPD_INLINE float farthest() const { return distances[width - 1]; }

  FPD_INLINE bool contains(std::int32_t index) const {
    std::int32_t found = 0;
    for (std::int64_t j = 0; j < width; ++j) found |= indices[j] == index;
    return found != 0;
  }
};

FPD_INLINE NeighborList list_of(const NeighborLists& lists, std::int64_t point) {
  const std::int64_t at = point * lists.width;
  return {lists.indices + at, lists.distances + at, lists.rounds + at, lists.width};
}

FPD_INLINE void prefetch_list(const NeighborList& list) {
  for (std::int64_t j = 0; j < list.width; j += kLanes) {
    prefetch(list.indices + j);
    prefetch(list.distances + j);
  }
  prefetch(list.distances + list.width - 1);
  prefetch(list.rounds);
}

// What joins a list. It is collected first and applied at once: the list is searched by whole
// vectors, which wait for single values that were stored just before.
class ListUpdate {
 public:
  // Room for as many as one call of `collect` is given.
  explicit ListUpdate(std::int64_t most) : within_(most) { keys_.reserve(most); }

  // Keeps what is nearer than the farthest of the list and not in it.
  FPD_INLINE void collect(const NeighborList& list, const std::int32_t* others,
                          const float* distances, std::int64_t count) {
    const float bound = list.farthest();
    std::int64_t found = 0;
    for (std::int64_t j = 0; j < count; ++j) {  // without a branch: which are near is no pattern
      within_[found] = static_cast<std::int32_t>(j);
      found += distances[j] < bound;
    }
    keys_.clear();
    for (std::int64_t i = 0; i < found; ++i) {
      const std::int32_t j = within_[i];
      if (!list.contains(others[j])) keys_.push_back(distance_key(distances[j], others[j]));
    }
  }

  void apply(const NeighborList& list, std::uint8_t round) {
    if (keys_.empty()) return;
    const auto width = static_cast<std::size_t>(list.width);
    if (keys_.size() > 2 * width) {
      std::nth_element(keys_.begin(), keys_.begin() + width, keys_.end());
      keys_.resize(width);
    }
    std::sort(keys_.begin(), keys_.end());
    keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
    old_.resize(width);
    for (std::size_t j = 0; j < width; ++j) {
      old_[j] = {distance_key(list.distances[j], list.indices[j]), list.rounds[j]};
    }
    std::size_t next = 0, kept = 0;
    for (std::size_t j = 0; j < width; ++j) {
      const bool fresh = next < keys_.size() && keys_[next] < old_[kept].key;
      const std::uint64_t taken = fresh ? keys_[next++] : old_[kept].key;
      list.rounds[j] = fresh ? round : old_[kept].round;
      kept += !fresh;
      list.indices[j] = index_of(taken);
      list.distances[j] = distance_of(taken);
    }
  }

 private:
  struct Old {
    std::uint64_t key;
    std::uint8_t round;
  };

  std::vector<std::int32_t> within_;
  std::vector<std::uint64_t> keys_;
  std::vector<Old> old_;
};

}  // namespace fpd::cpu
