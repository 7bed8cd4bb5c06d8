// The k smallest values of a stream: a reservoir of more is cut back when it is full.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/neighbors/candidates.h"
#include "cpu/support/simd.h"
#include "math/support/elementary.h"

namespace fpd::cpu {

// By (value, index); values come in the order of their indices.
class TopK {
 public:
  explicit TopK(std::int64_t count)
      : count_(static_cast<std::size_t>(count)), room_(std::max(kLeastRoom, 4 * count_)) {
    pool_.reserve(room_);
  }

  FPD_INLINE void push(float value, std::int32_t index) {
    value = min_of(value, INFINITY);  // what is not a number has no order
    if (value >= bound_) return;      // of equal ones, those that came before stay
    pool_.emplace_back(value, index);
    if (pool_.size() == room_) shrink();
  }

  // Those kept, in order.
  const std::vector<Candidate>& sorted() {
    shrink();
    std::sort(pool_.begin(), pool_.end());
    return pool_;
  }

  // For the next stream.
  void clear() {
    pool_.clear();
    bound_ = NAN;
  }

 private:
  static constexpr std::size_t kLeastRoom = 256;

  void shrink() {
    if (pool_.size() <= count_) return;
    std::nth_element(pool_.begin(), pool_.begin() + (count_ - 1), pool_.end());
    pool_.resize(count_);
    bound_ = pool_[count_ - 1].first;
  }

  std::size_t count_;
  std::size_t room_;
  float bound_ = NAN;  // nothing is beyond it
  std::vector<Candidate> pool_;
};

}  // namespace fpd::cpu
