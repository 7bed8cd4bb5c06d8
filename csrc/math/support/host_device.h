// The one place that says how a formula is compiled for host and device.
#pragma once

// Forced inlining lets a multiversioned CPU loop compile the formula for its own instruction set.
#if defined(__GNUC__)
#define FPD_INLINE inline __attribute__((always_inline))
#else
#define FPD_INLINE inline
#endif

#if defined(__CUDACC__)
#define FPD_HD __host__ __device__ __forceinline__
#else
#define FPD_HD FPD_INLINE
#endif

// In front of a loop whose counter picks registers on a device.
#if defined(__CUDACC__)
#define FPD_UNROLL _Pragma("unroll")
#else
#define FPD_UNROLL
#endif
