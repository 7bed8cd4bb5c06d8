// What the kernels share: launch sizes, grid-stride indices, and groups of lanes that split a row.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/support/check.h"

namespace fpd::cuda {

constexpr int kBlockSize = 256;
constexpr int kGroupSize = 16;                  // lanes that split a row, half a warp
constexpr std::int64_t kMaxBlocks = 1 << 20;    // beyond it, threads take several items
constexpr std::size_t kScratchAlignment = 256;  // of arrays in one scratch buffer

inline cudaStream_t as_stream(void* stream) { return static_cast<cudaStream_t>(stream); }

// Bytes of shared memory that a block may ask for on the current device.
inline std::size_t shared_memory_limit() {
  int device = 0, limit = 0;
  FPD_CUDA_CHECK(cudaGetDevice(&device));
  FPD_CUDA_CHECK(cudaDeviceGetAttribute(&limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  return static_cast<std::size_t>(limit);
}

// Lets a kernel have that many.
template <typename Kernel>
void allow_shared_memory(Kernel kernel, std::size_t bytes) {
  FPD_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      static_cast<int>(bytes)));
}

// Blocks for a number of items, which must not be 0.
inline unsigned blocks_for(std::int64_t items, std::int64_t items_per_block) {
  const std::int64_t blocks = (items + items_per_block - 1) / items_per_block;
  return static_cast<unsigned>(std::min(blocks, kMaxBlocks));
}

__device__ inline std::int64_t thread_index() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ inline std::int64_t thread_count() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

// Groups stand in consecutive lanes, so blocks must be multiples of kGroupSize.
__device__ inline int group_lane() { return static_cast<int>(threadIdx.x % kGroupSize); }
__device__ inline std::int64_t group_index() { return thread_index() / kGroupSize; }
__device__ inline std::int64_t group_count() { return thread_count() / kGroupSize; }

// The lanes of the caller's group: the other group of the warp may be elsewhere.
__device__ inline unsigned group_mask() {
  static_assert(32 % kGroupSize == 0 && kGroupSize < 32, "a group is a part of a warp");
  return ((1u << kGroupSize) - 1u) << (threadIdx.x % 32 / kGroupSize * kGroupSize);
}

// The value of the group's lane whose number differs in the bits of `bits`.
template <typename T>
__device__ T group_exchange(T value, int bits) {
  return __shfl_xor_sync(group_mask(), value, bits, kGroupSize);
}

// Bit i says what the group's lane i votes.
__device__ inline unsigned group_ballot(bool vote) {
  return __ballot_sync(group_mask(), vote) >> (threadIdx.x % 32 / kGroupSize * kGroupSize) &
         ((1u << kGroupSize) - 1u);
}

// One value of all lanes; every lane gets the same bits, since a + b and b + a are the same.
template <typename T, typename Combine>
__device__ T group_reduce(T value, Combine combine) {
  for (int bits = kGroupSize / 2; bits > 0; bits /= 2) {
    value = combine(value, group_exchange(value, bits));
  }
  return value;
}

template <typename T>
__device__ T group_sum(T value) {
  return group_reduce(value, [](T x, T y) { return x + y; });
}

// One value of a block of kSize threads, combined in one order; every thread gets it.
template <int kSize, typename T, typename Combine>
__device__ T block_reduce(T value, Combine combine) {
  static_assert((kSize & (kSize - 1)) == 0, "the tree halves the block");
  __shared__ unsigned char memory[kSize * sizeof(T)] __attribute__((aligned(alignof(T))));
  T* values = reinterpret_cast<T*>(memory);
  const int thread = static_cast<int>(threadIdx.x);
  values[thread] = value;
  __syncthreads();
  for (int width = kSize / 2; width > 0; width /= 2) {
    if (thread < width) values[thread] = combine(values[thread], values[thread + width]);
    __syncthreads();
  }
  const T found = values[0];
  __syncthreads();  // until all have read it
  return found;
}

// Sum over a block of kSize threads, in one order; complete in thread 0.
template <int kSize, typename T>
__device__ T block_sum(T value) {
  static_assert((kSize & (kSize - 1)) == 0, "the tree halves the block");
  __shared__ T sums[kSize];
  const int thread = static_cast<int>(threadIdx.x);
  sums[thread] = value;
  __syncthreads();
  for (int width = kSize / 2; width > 0; width /= 2) {
    if (thread < width) sums[thread] += sums[thread + width];
    __syncthreads();
  }
  return sums[thread];
}

}  // namespace fpd::cuda
