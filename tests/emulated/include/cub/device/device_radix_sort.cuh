// CUB's radix sort as far as kernels' files call it, on the host.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#define CUB_VERSION 200700

namespace cub {

struct DeviceRadixSort {
  template <typename Key, typename Value, typename Count>
  static cudaError_t SortPairs(void* temporary, std::size_t& bytes, const Key* keys, Key* sorted,
                               const Value* values, Value* sorted_values, Count count, int first,
                               int last, cudaStream_t) {
    if (temporary == nullptr) {
      bytes = 1;
      return cudaSuccess;
    }
    std::vector<Count> order(count);
    std::iota(order.begin(), order.end(), Count{0});
    const auto bits_of_key = [=](Count i) {
      return static_cast<std::uint64_t>(keys[i]) >> first &
             ((std::uint64_t{1} << (last - first)) - 1);
    };
    std::stable_sort(order.begin(), order.end(),
                     [=](Count x, Count y) { return bits_of_key(x) < bits_of_key(y); });
    for (Count i = 0; i < count; ++i) {
      sorted[i] = keys[order[i]];
      sorted_values[i] = values[order[i]];
    }
    return cudaSuccess;
  }
};

}  // namespace cub
