// The one place that says how a formula is compiled for host and device.
#pragma once

#if defined(__CUDACC__)
#define FPD_HD __host__ __device__ __forceinline__
#elif defined(__GNUC__)
// Forced inlining lets a multiversioned CPU loop compile the formula for its own instruction set.
#define FPD_HD inline __attribute__((always_inline))
#else
#define FPD_HD inline
#endif
