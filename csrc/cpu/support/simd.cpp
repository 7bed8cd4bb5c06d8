#include "cpu/support/simd.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "ops/support/target.h"

namespace fpd::cpu {
namespace {

#if defined(__x86_64__)
constexpr const char* kNames[] = {"sse2", "avx2", "avx512"};
#elif defined(__aarch64__)
constexpr const char* kNames[] = {"neon"};
#else
constexpr const char* kNames[] = {"baseline"};
#endif
constexpr int kNamed = sizeof kNames / sizeof *kNames;

SimdLevel best_level() {
#if FPD_MULTIVERSIONED
  if (__builtin_cpu_supports("x86-64-v4")) return SimdLevel::avx512;
  if (__builtin_cpu_supports("x86-64-v3")) return SimdLevel::avx2;
#endif
  return SimdLevel::baseline;
}

std::string name_of(SimdLevel level) { return kNames[static_cast<int>(level)]; }

SimdLevel chosen_level() {
  const SimdLevel best = best_level();
  const char* const asked = std::getenv("FASTPARADIME_SIMD");
  if (asked == nullptr || *asked == '\0') return best;
  std::string known;
  for (int level = 0; level < kNamed; ++level) {
    if (asked != std::string(kNames[level])) {
      known += std::string(level == 0 ? "" : ", ") + kNames[level];
    } else if (level <= static_cast<int>(best)) {
      return static_cast<SimdLevel>(level);
    } else {
      throw std::invalid_argument("FASTPARADIME_SIMD is '" + std::string(asked) +
                                  "', which this machine or build lacks; the best here is '" +
                                  name_of(best) + "'");
    }
  }
  throw std::invalid_argument("FASTPARADIME_SIMD is '" + std::string(asked) + "'; known are " +
                              known);
}

}  // namespace

SimdLevel simd_level() {
  static const SimdLevel level = chosen_level();
  return level;
}

std::string simd_level_name() { return name_of(simd_level()); }

}  // namespace fpd::cpu
