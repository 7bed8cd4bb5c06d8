// A block of a device, for bodies that ops/support/warp_product.h describes.
#pragma once

#include <cuda_pipeline_primitives.h>

#include <cstdint>

#include "cuda/support/launch.cuh"
#include "ops/support/warp_product.h"

namespace fpd::cuda {

struct DeviceBlock {
  template <int n>
  struct Fragment {
    float values[n];
    __device__ __forceinline__ float& at(int, int i) { return values[i]; }
    __device__ __forceinline__ float at(int, int i) const { return values[i]; }
  };

  template <typename T>
  struct PerWarp {
    T own;
    __device__ __forceinline__ T& operator[](int) { return own; }
  };

  __device__ static int thread() { return static_cast<int>(threadIdx.x); }
  __device__ static int warp() { return thread() / kWarpLanes; }
  __device__ static int lane() { return thread() % kWarpLanes; }

  template <typename F>
  __device__ __forceinline__ void warps(const F& f) {
    f(warp());
  }

  template <int n, typename F>
  __device__ __forceinline__ void each(const F& f) {
#pragma unroll
    for (int i = 0; i < n; ++i) f(lane(), i);
  }

  template <typename F>
  __device__ __forceinline__ void elements(int count, const F& f) {
    for (int i = thread(); i < count; i += kBlockThreads) f(i);
  }

  template <typename F>
  __device__ __forceinline__ void matrix(int rows, int columns, const F& f) {
    for (int r = warp(); r < rows; r += kBlockWarps) {
      for (int c = lane(); c < columns; c += kWarpLanes) f(r, c);
    }
  }

  __device__ __forceinline__ void sync() { __syncthreads(); }

  __device__ __forceinline__ void multiply(Fragment<4>& sums, const Fragment<4>& left,
                                           const Fragment<2>& right) {
    const auto bits = [](float x) { return __float_as_uint(x); };
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums.values[0]), "+f"(sums.values[1]), "+f"(sums.values[2]), "+f"(sums.values[3])
        : "r"(bits(left.values[0])), "r"(bits(left.values[1])), "r"(bits(left.values[2])),
          "r"(bits(left.values[3])), "r"(bits(right.values[0])), "r"(bits(right.values[1])));
  }

  template <int width>
  __device__ __forceinline__ void copy(float* to, const float* from, int valid) {
    constexpr int bytes = width * static_cast<int>(sizeof(float));
    const unsigned shared = static_cast<unsigned>(__cvta_generic_to_shared(to));
    const int taken = valid * static_cast<int>(sizeof(float));
    if constexpr (width == 4) {
      asm volatile("cp.async.cg.shared.global [%0], [%1], %2, %3;" ::"r"(shared), "l"(from),
                   "n"(bytes), "r"(taken)
                   : "memory");
    } else {
      asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared), "l"(from),
                   "n"(bytes), "r"(taken)
                   : "memory");
    }
  }

  __device__ __forceinline__ void commit() { __pipeline_commit(); }

  template <int pending>
  __device__ __forceinline__ void wait() {
    __pipeline_wait_prior(pending);
  }

  __device__ __forceinline__ void put(float* to, float x, float y, int count) {
    if (count == 2 && reinterpret_cast<std::uintptr_t>(to) % sizeof(float2) == 0) {
      *reinterpret_cast<float2*>(to) = make_float2(x, y);
    } else {
      to[0] = x;
      if (count == 2) to[1] = y;
    }
  }
};

static_assert(kBlockSize == kBlockThreads, "blocks are those of the bodies");

template <typename Kernel, typename... Arguments>
void launch_blocks(Kernel kernel, std::int64_t blocks, std::int64_t floats, cudaStream_t stream,
                   const Arguments&... arguments) {
  const std::size_t bytes = static_cast<std::size_t>(floats) * sizeof(float);
  if (bytes > 0) allow_shared_memory(kernel, bytes);
  kernel<<<static_cast<unsigned>(blocks), kBlockThreads, bytes, stream>>>(arguments...);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
