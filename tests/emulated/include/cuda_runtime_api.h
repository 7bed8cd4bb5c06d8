// CUDA's language and runtime as far as the kernels need them, on the host: for tests of kernels by
// their own source. The threads of a block are coroutines that change places where they wait,
// blocks come one after the other. A block whose threads all wait for each other is an error, not a
// hang.
#pragma once

#include <ucontext.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)
#define __grid_constant__

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {

constexpr int kLanes = 32;

// Where threads of a group meet, and what they bring there: two places in turn, so that one may
// come again while others still read.
struct Meeting {
  std::uint64_t brought[2][kLanes] = {};
  int arrived = 0;
  std::uint64_t times = 0;
};

struct Thread {
  ucontext_t context;
  std::vector<char> stack;
  bool done = false;
};

inline std::vector<Thread> threads;
inline std::vector<std::map<unsigned, Meeting>> warps;  // by mask of the lanes that meet
inline std::map<int, Meeting> barriers;
inline ucontext_t scheduler;
inline std::size_t current;
inline std::uint64_t events;  // whatever may end a wait
inline std::function<void()> kernel;
inline std::string failure;

inline void change_places() { swapcontext(&threads[current].context, &scheduler); }

template <typename Condition>
void wait_until(const Condition& condition) {
  while (!condition()) change_places();
  ++events;
}

inline std::uint64_t meet(Meeting& meeting, int count) {
  const std::uint64_t mine = meeting.times;
  ++events;
  if (++meeting.arrived == count) {
    meeting.arrived = 0;
    ++meeting.times;
  } else {
    wait_until([&] { return meeting.times != mine; });
  }
  return mine;
}

// What each lane of a mask brought, and nothing of others.
inline const std::uint64_t* exchange(unsigned mask, std::uint64_t value) {
  if (!(mask >> current % kLanes & 1)) throw std::logic_error("a mask without its own lane");
  Meeting& meeting = warps[current / kLanes][mask];
  meeting.brought[meeting.times % 2][current % kLanes] = value;
  return meeting.brought[meet(meeting, __builtin_popcount(mask)) % 2];
}

inline int lane() { return static_cast<int>(current % kLanes); }

template <typename T>
std::uint64_t bits(T value) {
  std::uint64_t all = 0;
  std::memcpy(&all, &value, sizeof value);
  return all;
}

template <typename T>
T value_of(std::uint64_t all) {
  T value;
  std::memcpy(&value, &all, sizeof value);
  return value;
}

inline void start() {
  try {
    kernel();
  } catch (const std::exception& error) {
    failure = error.what();
  }
  threads[current].done = true;
  ++events;
  change_places();
}

inline void run_block(unsigned count) {
  failure.clear();
  threads.assign(count, {});
  warps.assign((count + kLanes - 1) / kLanes, {});
  barriers.clear();
  for (Thread& thread : threads) {
    thread.stack.resize(256 << 10);
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.data();
    thread.context.uc_stack.ss_size = thread.stack.size();
    thread.context.uc_link = &scheduler;
    makecontext(&thread.context, start, 0);
  }
  for (std::size_t left = count; left > 0;) {
    const std::uint64_t before = events;
    left = 0;
    for (current = 0; current < count; ++current) {
      if (threads[current].done) continue;
      threadIdx.x = static_cast<unsigned>(current);
      swapcontext(&scheduler, &threads[current].context);
      left += !threads[current].done;
    }
    if (left > 0 && events == before) failure = "all threads of a block wait";
    if (!failure.empty()) throw std::runtime_error(failure);
  }
}

// What went wrong in a call, or null.
template <typename Call>
const char* failure_of(const Call& call) {
  try {
    call();
    return nullptr;
  } catch (const std::exception& error) {
    failure = error.what();
    return failure.c_str();
  }
}

template <typename... Parameters>
auto launch(void (*function)(Parameters...), unsigned blocks, unsigned count, std::size_t = 0,
            void* = nullptr) {
  return [=](Parameters... arguments) {
    gridDim.x = blocks;
    blockDim.x = count;
    kernel = [=] { function(arguments...); };
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) run_block(count);
  };
}

}  // namespace emulated

inline void __syncwarp() { emulated::exchange(0xffffffffu, 0); }
inline void __syncthreads() { emulated::meet(emulated::barriers[0], static_cast<int>(blockDim.x)); }
inline int __syncthreads_or(int vote) {
  static int any;
  __syncthreads();
  any = 0;
  __syncthreads();
  any |= vote;
  __syncthreads();
  return any;
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int source) {
  return emulated::value_of<T>(emulated::exchange(mask, emulated::bits(value))[source]);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int other, int = 32) {
  return __shfl_sync(mask, value, emulated::lane() ^ other);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, int up) {
  return __shfl_sync(mask, value, emulated::lane() < up ? emulated::lane() : emulated::lane() - up);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, int down) {
  const int from = emulated::lane() + down;
  return __shfl_sync(mask, value, from < emulated::kLanes ? from : emulated::lane());
}
inline unsigned __ballot_sync(unsigned mask, bool vote) {
  const std::uint64_t* votes = emulated::exchange(mask, vote);
  unsigned all = 0;
  for (int i = 0; i < emulated::kLanes; ++i) all |= static_cast<unsigned>(votes[i]) << i;
  return all;
}
inline bool __any_sync(unsigned mask, bool vote) { return __ballot_sync(mask, vote) != 0; }
inline unsigned __match_any_sync(unsigned mask, int value) {
  const std::uint64_t* values = emulated::exchange(mask, emulated::bits(value));
  unsigned same = 0;
  for (int i = 0; i < emulated::kLanes; ++i) {
    same |= static_cast<unsigned>(values[i] == emulated::bits(value)) << i;
  }
  return same;
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value) {
  const std::uint64_t* values = emulated::exchange(mask, value);
  unsigned all = 0;
  for (int i = 0; i < emulated::kLanes; ++i) all |= static_cast<unsigned>(values[i]);
  return all;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int atomicAdd(int* at, int value) {
  const int before = *at;
  *at += value;
  return before;
}

using cudaStream_t = void*;
using cudaError_t = int;
constexpr cudaError_t cudaSuccess = 0;
constexpr int cudaDevAttrMaxSharedMemoryPerBlockOptin = 0;
constexpr int cudaFuncAttributeMaxDynamicSharedMemorySize = 0;
constexpr int cudaMemcpyDeviceToDevice = 0;

inline const char* cudaGetErrorName(cudaError_t) { return "none"; }
inline const char* cudaGetErrorString(cudaError_t) { return "none"; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0; }
inline cudaError_t cudaDeviceGetAttribute(int* value, int, int) {
  *value = 227 << 10;
  return cudaSuccess;
}
template <typename Kernel>
cudaError_t cudaFuncSetAttribute(Kernel, int, int) {
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, void*) {
  std::memset(to, value, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, int, void*) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
