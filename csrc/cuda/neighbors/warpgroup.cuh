// Instructions of sm_90a: products of warpgroups, copies of whole boxes, and the barriers on which
// both meet (PTX ISA).
#pragma once

#include <cuda.h>

#include <cstdint>

#include "cuda/neighbors/product_tiles.h"

// Code for other chips has kernels without these instructions, which are never launched.
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define FPD_WARPGROUPS 1
#else
#define FPD_WARPGROUPS 0
#endif

namespace fpd::cuda {

using TensorMap = CUtensorMap;
using Barrier = std::uint64_t;

// All that a block asked for at its launch.
__device__ inline void* dynamic_memory() {
  extern __shared__ uint4 memory[];
  return memory;
}

__device__ inline std::uint32_t shared_address(const void* at) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(at));
}

#if FPD_WARPGROUPS

// A barrier's phase ends when so many have arrived and all bytes expected in it have come.
__device__ inline void init_barrier(Barrier& barrier, unsigned arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)),
               "r"(arrivals)
               : "memory");
}

// Before a __syncthreads, after which others use new barriers.
__device__ inline void publish_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ inline void arrive(Barrier& barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&barrier))
               : "memory");
}

__device__ inline void arrive_expecting(Barrier& barrier, unsigned bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&barrier)),
      "r"(bytes)
      : "memory");
}

// Waits until a phase of this parity is over: phases count from 0, and before the first one stands
// one of parity 1.
__device__ inline void wait(Barrier& barrier, unsigned parity) {
  unsigned over = 0;
  while (over == 0) {
    asm volatile(
        "{\n"
        ".reg .pred over;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 over, [%1], %2;\n"
        "selp.u32 %0, 1, 0, over;\n"
        "}"
        : "=r"(over)
        : "r"(shared_address(&barrier)), "r"(parity)
        : "memory");
  }
}

// Copies the box of a matrix from this row and column on; what is beyond the matrix becomes zero.
__device__ inline void fetch_box(void* to, const TensorMap& map, int column, int row,
                                 Barrier& barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3}], [%4];" ::"r"(shared_address(to)),
      "l"(&map), "r"(column), "r"(row), "r"(shared_address(&barrier))
      : "memory");
}

// The 128 threads of a warpgroup meet; barrier 0 is __syncthreads.
__device__ inline void meet_warpgroup(int barrier) {
  asm volatile("bar.sync %0, 128;" ::"r"(barrier) : "memory");
}

// A warpgroup leaves registers to others of its block, or takes what they left.
template <int registers>
__device__ inline void leave_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}
template <int registers>
__device__ inline void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}

// Sums are touched by nothing else between begin_products and the wait_products that ends them.
__device__ inline void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void commit_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int left>
__device__ inline void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(left) : "memory");
}

// Keeps the compiler from moving sums across a point.
__device__ inline void hold(float (&sums)[kProductSums]) {
#pragma unroll
  for (int i = 0; i < kProductSums; ++i) asm volatile("" : "+f"(sums[i])::"memory");
}

#define FPD_SUMS(i)                                                                          \
  "+f"(sums[i]), "+f"(sums[i + 1]), "+f"(sums[i + 2]), "+f"(sums[i + 3]), "+f"(sums[i + 4]), \
      "+f"(sums[i + 5]), "+f"(sums[i + 6]), "+f"(sums[i + 7])

// sums (64 x 128) = or += left (64 x 16) times right (128 x 16) transposed.
__device__ inline void multiply(float (&sums)[kProductSums], std::uint64_t left,
                                std::uint64_t right, bool add) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.ne.b32 add, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
      "%64, %65, add, 1, 1, 0, 0;\n"
      "}"
      : FPD_SUMS(0), FPD_SUMS(8), FPD_SUMS(16), FPD_SUMS(24), FPD_SUMS(32), FPD_SUMS(40),
        FPD_SUMS(48), FPD_SUMS(56)
      : "l"(left), "l"(right), "r"(static_cast<int>(add)));
}
#undef FPD_SUMS

#endif

}  // namespace fpd::cuda
