#include "cpu/support/simd.h"

#include "ops/support/target.h"

namespace fpd::cpu {

const char* simd_level() {
#if defined(__aarch64__)
  return "neon";
#elif FPD_MULTIVERSIONED
  if (__builtin_cpu_supports("x86-64-v4")) return "avx512";
  if (__builtin_cpu_supports("x86-64-v3")) return "avx2";
  return "sse2";
#else
  return "baseline";
#endif
}

}  // namespace fpd::cpu
