// Loops compiled for several instruction sets, one of which is chosen at the first call. A loop
// over kLanes independent lanes vectorises without reordering any sum, so its result is the same on
// every instruction set up to fused multiply-adds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "math/support/host_device.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define FPD_MULTIVERSIONED 1
#define FPD_TARGET(name) __attribute__((target("arch=" name)))
#else
#define FPD_MULTIVERSIONED 0
#define FPD_TARGET(name)
#endif

// A lambda inside a multiversioned loop is compiled for the loop's instruction set only if inlined.
#if defined(__GNUC__)
#define FPD_INLINE_LAMBDA __attribute__((always_inline))
#else
#define FPD_INLINE_LAMBDA
#endif

namespace fpd::cpu {

// What the build's own flags allow, and what is faster on x86-64.
enum class SimdLevel { baseline, avx2, avx512 };

// The best that this machine has, or FASTPARADIME_SIMD. Throws std::invalid_argument for a value
// that names none, or one that the machine lacks.
SimdLevel simd_level();

template <auto kLoop>
struct Versions;

// A loop, always inlined, in functions of which each is compiled for an instruction set.
template <typename Result, typename... Args, Result (*kLoop)(Args...)>
struct Versions<kLoop> {
  static Result baseline(Args... args) { return kLoop(std::forward<Args>(args)...); }
  FPD_TARGET("x86-64-v3") static Result avx2(Args... args) {
    return kLoop(std::forward<Args>(args)...);
  }
  FPD_TARGET("x86-64-v4") static Result avx512(Args... args) {
    return kLoop(std::forward<Args>(args)...);
  }

  static Result chosen(Args... args) {
#if FPD_MULTIVERSIONED
    switch (simd_level()) {
      case SimdLevel::avx512: return avx512(std::forward<Args>(args)...);
      case SimdLevel::avx2: return avx2(std::forward<Args>(args)...);
      case SimdLevel::baseline: break;
    }
#endif
    return baseline(std::forward<Args>(args)...);
  }
};

// A loop that is FPD_INLINE, as compiled for simd_level().
template <auto kLoop>
constexpr auto at_simd_level = &Versions<kLoop>::chosen;

constexpr std::int64_t kLanes = 16;

constexpr std::int64_t padded(std::int64_t size) { return (size + kLanes - 1) / kLanes * kLanes; }

// Calls body(lane, i) for each i, neighbouring ones in neighbouring lanes.
template <typename Body>
FPD_INLINE void for_lanes(std::int64_t count, const Body& body) {
  const std::int64_t whole = count / kLanes * kLanes;
  for (std::int64_t i = 0; i < whole; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) body(lane, i + lane);
  }
  for (std::int64_t i = whole; i < count; ++i) body(i - whole, i);
}

#if defined(__GNUC__)
// kLanes floats as one value; arithmetic goes lane by lane. Passed by reference: how such values
// are returned depends on the instruction set.
typedef float FloatLanes __attribute__((vector_size(kLanes * sizeof(float))));

FPD_INLINE void load(FloatLanes& lanes, const float* from) {
  std::memcpy(&lanes, from, sizeof lanes);
}
FPD_INLINE void store(float* to, const FloatLanes& lanes) { std::memcpy(to, &lanes, sizeof lanes); }
#endif

FPD_INLINE std::int64_t count_bits(std::uint64_t word) {
#if defined(__GNUC__)
  return __builtin_popcountll(word);
#else
  std::int64_t count = 0;
  for (; word != 0; word &= word - 1) ++count;
  return count;
#endif
}

// Asks for the cache line that is read a little later.
inline void prefetch(const void* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address);
#else
  static_cast<void>(address);
#endif
}

// Asks for a line that is read much later: more of them may be under way to the second cache.
inline void prefetch_far(const void* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address, 0, 2);
#else
  static_cast<void>(address);
#endif
}

// Adds the upper half of 2 width values to the lower, and so on down to one. Unrolled by its types:
// loops of changing width go through memory.
template <std::int64_t width>
FPD_INLINE void fold_sum(float* sums) {
  for (std::int64_t l = 0; l < width; ++l) sums[l] += sums[l + width];
  if constexpr (width > 1) fold_sum<width / 2>(sums);
}

// Sum of kLanes partial sums in a fixed order.
FPD_INLINE float lane_sum(const float* lanes) {
  float sums[kLanes];
  for (std::int64_t l = 0; l < kLanes; ++l) sums[l] = lanes[l];
  fold_sum<kLanes / 2>(sums);
  return sums[0];
}

// The smallest or the largest of some values, by min_of or max_of.
template <float (*choose)(float, float)>
FPD_INLINE float chosen_of(const float* values, std::int64_t count) {
  float lanes[kLanes];
  std::fill_n(lanes, kLanes, values[0]);
  for_lanes(count, [&](std::int64_t lane, std::int64_t i)
                       FPD_INLINE_LAMBDA { lanes[lane] = choose(values[i], lanes[lane]); });
  for (std::int64_t lane = 1; lane < kLanes; ++lane) lanes[0] = choose(lanes[lane], lanes[0]);
  return lanes[0];
}

}  // namespace fpd::cpu
