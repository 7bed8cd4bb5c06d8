// As csrc/cuda/neighbors/warpgroup.cuh, on the host. Copies and products happen at their first or
// at their last moment, as the test asks: what a barrier does not order then goes wrong.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <vector>

#include "cuda/neighbors/product_tiles.h"
#include "math/support/half.h"

#define FPD_WARPGROUPS 1

namespace fpd::cuda {

struct TensorMap {
  const std::uint16_t* matrix;
  std::int64_t rows, columns;
  int box_rows;
};

struct Barrier {
  unsigned count, left;
  std::int64_t bytes;
  unsigned phase;
  bool ready;
};

namespace emulated_device {
alignas(1024) inline char memory[228 * 1024];
inline bool late_copies, late_products;
inline std::map<Barrier*, std::vector<std::function<void()>>> copies;
struct Product {
  float* sums;
  std::uint64_t left, right;
  bool add;
};
// Of each thread: groups of products that are committed, the last of which is still open.
inline std::vector<std::vector<std::vector<Product>>> products;
}  // namespace emulated_device

// Off the alignment that slices need, as a block's memory may be.
inline void* dynamic_memory() { return emulated_device::memory + 16; }
inline std::uint32_t shared_address(const void* at) {
  return static_cast<std::uint32_t>(static_cast<const char*>(at) - emulated_device::memory);
}

inline void end_phase(Barrier& barrier) {
  if (barrier.left != 0 || barrier.bytes != 0) return;
  barrier.left = barrier.count;
  ++barrier.phase;
  ++emulated::events;
}
inline void complete_copies(Barrier& barrier) {
  auto waiting = std::move(emulated_device::copies[&barrier]);
  emulated_device::copies[&barrier].clear();
  for (const auto& copy : waiting) copy();
}

inline void init_barrier(Barrier& barrier, unsigned arrivals) {
  barrier = {arrivals, arrivals, 0, 0, true};
}
inline void publish_barriers() {}
inline void arrive(Barrier& barrier) {
  if (!barrier.ready || barrier.left == 0) throw std::logic_error("one arrival too many");
  --barrier.left;
  end_phase(barrier);
}
inline void arrive_expecting(Barrier& barrier, unsigned bytes) {
  barrier.bytes += bytes;
  arrive(barrier);
}
inline void wait(Barrier& barrier, unsigned parity) {
  emulated::wait_until([&] {
    if (barrier.phase % 2 == parity) complete_copies(barrier);
    return barrier.phase % 2 != parity;
  });
}

inline void fetch_box(void* to, const TensorMap& map, int column, int row, Barrier& barrier) {
  if (shared_address(to) % 1024 != 0) throw std::logic_error("a slice is not aligned");
  const auto copy = [=, &barrier] {
    for (int r = 0; r < map.box_rows; ++r) {
      for (int c = 0; c < kSliceColumns; ++c) {
        const bool there = row + r < map.rows && column + c < map.columns;
        const std::uint16_t value = there ? map.matrix[(row + r) * map.columns + column + c] : 0;
        // The copy engine's swizzle: bits 4 to 6 of an address exchanged by bits 7 to 9.
        const std::uint32_t plain = static_cast<std::uint32_t>(r * 128 + c * 2);
        const std::uint32_t at = shared_address(to) + plain;
        std::memcpy(emulated_device::memory + (at ^ (at >> 7 & 7) << 4), &value, sizeof value);
      }
    }
    barrier.bytes -= map.box_rows * 128;
    end_phase(barrier);
  };
  if (!emulated_device::late_copies) return copy();
  emulated_device::copies[&barrier].push_back(copy);
  ++emulated::events;
}

inline void meet_warpgroup(int barrier) { emulated::meet(emulated::barriers[barrier], 128); }
template <int registers>
void leave_registers() {}
template <int registers>
void take_registers() {}
inline void hold(float (&)[kProductSums]) {}

// An element of a matrix of eight-row groups, K-major, by its descriptor.
inline float element(std::uint64_t descriptor, int row, int column) {
  if (descriptor >> 62 != 1) throw std::logic_error("not swizzled by 128 bytes");
  const std::uint32_t start = (descriptor & 0x3fff) << 4, group = (descriptor >> 32 & 0x3fff) << 4;
  const std::uint32_t plain = start + row / 8 * group + row % 8 * 128 + column * 2;
  std::uint16_t value;
  std::memcpy(&value, emulated_device::memory + (plain ^ (plain >> 7 & 7) << 4), sizeof value);
  return half_value(value);
}

inline void multiply_now(const emulated_device::Product& product) {
  const int thread = static_cast<int>(threadIdx.x) % 128;
  for (int i = 0; i < 64; ++i) {
    // PTX ISA, accumulator D of m64nNk16: row and column of register i.
    const int row = 16 * (thread / 32) + thread % 32 / 4 + 8 * (i / 2 % 2);
    const int column = 8 * (i / 4) + 2 * (thread % 4) + i % 2;
    float sum = product.add ? product.sums[i] : 0.0f;
    for (int k = 0; k < 16; ++k) {
      sum += element(product.left, row, k) * element(product.right, column, k);
    }
    product.sums[i] = sum;
  }
}

inline std::vector<std::vector<emulated_device::Product>>& own_products() {
  auto& all = emulated_device::products;
  if (all.size() < emulated::threads.size()) all.resize(emulated::threads.size());
  auto& own = all[emulated::current];
  if (own.empty()) own.emplace_back();
  return own;
}

inline void begin_products() {}
inline void multiply(float (&sums)[kProductSums], std::uint64_t left, std::uint64_t right,
                     bool add) {
  const emulated_device::Product product{sums, left, right, add};
  if (!emulated_device::late_products) return multiply_now(product);
  own_products().back().push_back(product);
}
inline void commit_products() { own_products().emplace_back(); }
template <int left>
void wait_products() {
  auto& groups = own_products();
  while (groups.size() > left + 1) {
    for (const auto& product : groups.front()) multiply_now(product);
    groups.erase(groups.begin());
  }
}

}  // namespace fpd::cuda
