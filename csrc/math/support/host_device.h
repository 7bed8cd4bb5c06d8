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

// In front of a loop whose counter picks registers on a device, or whose loads go side by side.
#if defined(__CUDACC__)
#define FPD_UNROLL _Pragma("unroll")
#define FPD_UNROLL_BY_8 _Pragma("unroll 8")
#else
#define FPD_UNROLL
#define FPD_UNROLL_BY_8
#endif
