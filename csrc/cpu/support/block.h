// A block on the host, for bodies that ops/support/warp_product.h describes: its threads in turn,
// to compare a device's results with. Copies are done when they are waited for, and not before.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "cpu/support/parallel.h"
#include "ops/support/warp_product.h"

namespace fpd::cpu {

class HostBlock {
 public:
  template <int n>
  struct Fragment {
    float values[kWarpLanes][n];
    float& at(int lane, int i) { return values[lane][i]; }
    float at(int lane, int i) const { return values[lane][i]; }
  };

  template <typename T>
  struct PerWarp {
    T each[kBlockWarps];
    T& operator[](int warp) { return each[warp]; }
  };

  template <typename F>
  void warps(const F& f) {
    for (int warp = 0; warp < kBlockWarps; ++warp) f(warp);
  }

  template <int n, typename F>
  void each(const F& f) {
    for (int lane = 0; lane < kWarpLanes; ++lane) {
      for (int i = 0; i < n; ++i) f(lane, i);
    }
  }

  template <typename F>
  void elements(int count, const F& f) {
    for (int i = 0; i < count; ++i) f(i);
  }

  template <typename F>
  void matrix(int rows, int columns, const F& f) {
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < columns; ++c) f(r, c);
    }
  }

  void sync() {}

  void multiply(Fragment<4>& sums, const Fragment<4>& left, const Fragment<2>& right) {
    float a[kProductRows][kProductDepth], b[kProductDepth][kProductColumns];
    each<4>([&](int lane, int i) {
      const Place place = left_place(lane, i);
      a[place.row][place.column] = left.at(lane, i);
    });
    each<2>([&](int lane, int i) {
      const Place place = right_place(lane, i);
      b[place.row][place.column] = right.at(lane, i);
    });
    each<4>([&](int lane, int i) {
      const Place place = sum_place(lane, i);
      for (int k = 0; k < kProductDepth; ++k) {
        sums.at(lane, i) += a[place.row][k] * b[k][place.column];
      }
    });
  }

  template <int width>
  void copy(float* to, const float* from, int valid) {
    copies_.push_back({to, from, valid, width});
  }

  void commit() { groups_.push_back(copies_.size()); }

  template <int pending>
  void wait() {
    const std::size_t done = groups_.size() > pending ? groups_.size() - pending : 0;
    if (done == 0) return;
    const std::size_t count = groups_[done - 1];
    for (std::size_t i = 0; i < count; ++i) {
      const Copy& copy = copies_[i];
      std::copy_n(copy.from, copy.valid, copy.to);
      std::fill_n(copy.to + copy.valid, copy.width - copy.valid, 0.0f);
    }
    copies_.erase(copies_.begin(), copies_.begin() + static_cast<std::ptrdiff_t>(count));
    groups_.erase(groups_.begin(), groups_.begin() + static_cast<std::ptrdiff_t>(done));
    for (std::size_t& group : groups_) group -= count;
  }

  void put(float* to, float x, float y, int count) {
    to[0] = x;
    if (count == 2) to[1] = y;
  }

 private:
  struct Copy {
    float* to;
    const float* from;
    int valid;
    int width;
  };

  std::vector<Copy> copies_;         // not done yet
  std::vector<std::size_t> groups_;  // where each group of them ends
};

// body(block, index, memory) for each block, whose shared memory is not what it was.
template <typename T, typename Body>
void run_blocks(std::int64_t blocks, std::int64_t size, int threads, const Body& body) {
  parallel_for(blocks, 1, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t index = begin; index < end; ++index) {
      std::vector<T> memory(static_cast<std::size_t>(size), std::numeric_limits<T>::quiet_NaN());
      HostBlock block;
      body(block, index, memory.data());
    }
  });
}

}  // namespace fpd::cpu
