// Errors of the CUDA runtime as exceptions.
#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

namespace fpd::cuda {

inline void check(cudaError_t status, const char* expression, const char* file, int line) {
  if (status == cudaSuccess) return;
  throw std::runtime_error(std::string("CUDA error ") + cudaGetErrorName(status) + " (" +
                           cudaGetErrorString(status) + ") from " + expression + " at " + file +
                           ":" + std::to_string(line));
}

}  // namespace fpd::cuda

#define FPD_CUDA_CHECK(expression) ::fpd::cuda::check((expression), #expression, __FILE__, __LINE__)
