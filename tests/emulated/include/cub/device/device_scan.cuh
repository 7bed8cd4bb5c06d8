// CUB's running sums as far as kernels' files call them, on the host.
#pragma once

#include <cuda_runtime_api.h>

#include <numeric>

namespace cub {

struct DeviceScan {
  template <typename T, typename Count>
  static cudaError_t InclusiveSum(void* temporary, std::size_t& bytes, const T* values, T* sums,
                                  Count count, cudaStream_t) {
    if (temporary == nullptr) {
      bytes = 1;
      return cudaSuccess;
    }
    std::partial_sum(values, values + count, sums);
    return cudaSuccess;
  }
};

}  // namespace cub
