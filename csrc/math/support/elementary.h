// exp, log and pow as branch-free polynomials, so that CPU loops over them vectorise; the device
// uses its own functions. Largest errors against float64, over every 97th float of the range:
// exp_fast 1.2e-7 relative on [-87, 88]; log_fast 1.2e-7 relative (absolute where |log x| < 1).
#pragma once

#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "math/support/host_device.h"

namespace fpd {

FPD_HD std::int32_t bits_of(float x) {
#if defined(__CUDA_ARCH__)
  return __float_as_int(x);
#else
  std::int32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
#endif
}

FPD_HD float float_of(std::int32_t bits) {
#if defined(__CUDA_ARCH__)
  return __int_as_float(bits);
#else
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
#endif
}

// Of bits, which may be those of any number: it wraps around.
FPD_HD std::int32_t difference(std::int32_t x, std::int32_t y) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(x) - static_cast<std::uint32_t>(y));
}

// fmin and fmax keep IEEE's NaN rules, which cost the vectoriser; these are one instruction each.
FPD_HD float min_of(float x, float y) { return x < y ? x : y; }
FPD_HD float max_of(float x, float y) { return x > y ? x : y; }

FPD_HD float magnitude(float x) { return x < 0.0f ? -x : x; }

// x / y for stochastic gradients: 0 on a device where y is beyond 2^126.
FPD_HD float coarse_quotient(float x, float y) {
#if defined(__CUDA_ARCH__)
  return __fdividef(x, y);
#else
  return x / y;
#endif
}

// Finite: of numbers below 3e-39 the largest there is.
FPD_HD float reciprocal_or_zero(float x) { return x > 0.0f ? min_of(1.0f / x, FLT_MAX) : 0.0f; }

// x must be in [-87.3, 88.3].
FPD_HD float exp_within(float x) {
#if defined(__CUDA_ARCH__)
  return expf(x);
#else
  constexpr float round_to_int =
      12582912.0f;  // 1.5 * 2^23: adding it rounds to the nearest integer
  const float shifted = x * 1.44269504f + round_to_int;
  const float n = shifted - round_to_int;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return p * float_of((bits_of(shifted) - bits_of(round_to_int) + 127) << 23);
#endif
}

FPD_HD float exp_fast(float x) { return exp_within(max_of(-87.3f, min_of(x, 88.3f))); }

// x must be positive and normal.
FPD_HD float log_fast(float x) {
#if defined(__CUDA_ARCH__)
  return logf(x);
#else
  const std::int32_t bits = bits_of(x);
  // The mantissa is brought to [sqrt(1/2), sqrt(2)), where the polynomial is tightest.
  const std::int32_t exponent = difference(bits, 0x3f3504f3) >> 23;
  const float m = float_of(difference(bits, exponent * (1 << 23))) - 1.0f;
  const float e = static_cast<float>(exponent);
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  const float square = m * m;
  const float tail = m * square * p - 2.12194440e-4f * e - 0.5f * square;
  return (m + tail) + 0.693359375f * e;
#endif
}

// log(1 + x) for x in [0, 1], where 1 + x rounds: what is lost goes in to first order.
FPD_HD float log1p_fast(float x) {
  const float sum = 1.0f + x;
  return log_fast(sum) + (x - (sum - 1.0f)) / sum;
}

// x must be positive and normal. The relative error grows with |y log x|, 6e-8 for each unit.
FPD_HD float pow_fast(float x, float y) {
#if defined(__CUDA_ARCH__)
  return powf(x, y);
#else
  return exp_fast(y * log_fast(x));
#endif
}

// pow for stochastic gradients, in half of pow_fast's operations: x positive and normal, relative
// error below 3e-6 + 1.5e-6 |y| + 6e-8 |y log2 x|; the result is kept in [2^-126, 2^100].
FPD_HD float pow_coarse(float x, float y) {
#if defined(__CUDA_ARCH__)
  return exp2f(max_of(-126.0f, min_of(y * __log2f(x), 100.0f)));
#else
  const std::int32_t bits = bits_of(x);
  const std::int32_t exponent = difference(bits, 0x3f3504f3) >> 23;
  const float m = float_of(difference(bits, exponent * (1 << 23))) - 1.0f;
  float log2 = -2.065917699e-1f;
  log2 = log2 * m + 3.221548095e-1f;
  log2 = log2 * m - 3.674899745e-1f;
  log2 = log2 * m + 4.793480179e-1f;
  log2 = log2 * m - 7.211318585e-1f;
  log2 = log2 * m + 1.442713481f;
  const float z = y * (log2 * m + static_cast<float>(exponent));
  constexpr float round_to_int = 12582912.0f;  // as in exp_fast
  const float shifted = z + round_to_int;
  const float r = z - (shifted - round_to_int);
  float p = 9.570101792e-3f;
  p = p * r + 5.591786031e-2f;
  p = p * r + 2.402474483e-1f;
  p = p * r + 6.931218147e-1f;
  p = p * r + 9.999992614e-1f;
  // Whole numbers are limited in one instruction each, unlike floats with their NaN rules.
  std::int32_t whole = difference(bits_of(shifted), bits_of(round_to_int));
  whole = whole < -126 ? -126 : whole;
  whole = whole > 100 ? 100 : whole;
  return p * float_of((whole + 127) << 23);
#endif
}

}  // namespace fpd
