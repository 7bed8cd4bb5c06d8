// Squared distances from the products of rows, as matrix products give them.
#pragma once

#include <cmath>

#include "math/support/host_device.h"

namespace fpd {

// No more than |x - y|^2 - |x|^2 = |y|^2 - 2 <x, y>, where the product of the unit rows of x and y
// was taken with an error of at most `slack`: `cosine` is what came out.
FPD_HD float squared_distance_bound(float x_norm, float y_norm, float cosine, float slack) {
  return y_norm * (y_norm - 2.0f * x_norm * (cosine + slack));
}

constexpr float kTestRounding = 1.0f / (1 << 20);  // more than a test and a bound round by

// A column as a test takes it; an infinite norm is no column's, and passes no test.
struct TestedColumn {
  float negative;  // -|y|, less what is rounded
  float inverse;

  FPD_HD static TestedColumn of(float y_norm) {
    return {-y_norm * (1.0f - kTestRounding), 1.0f / y_norm};
  }
};

// Whether a bound may be below another, by two multiply-adds and a comparison: divided by |y|,
// bound < end is 2 |x| cosine + end / |y| - |y| > -2 |x| slack. All that is below passes, and of
// the rest what is within rounding.
struct BoundTest {
  float doubled;  // 2 |x|
  float end;
  float limit;

  FPD_HD static BoundTest of(float x_norm, float slack, float end) {
    const float doubled = 2.0f * x_norm, rounding = kTestRounding * std::fabs(end);
    return {doubled, end + rounding, -doubled * slack * (1.0f + kTestRounding)};
  }

  FPD_HD bool passes(float cosine, const TestedColumn& column) const {
    return std::fma(doubled, cosine, std::fma(end, column.inverse, column.negative)) > limit;
  }
};

// |x - y|^2 from squared norms and the product, or if that is more the share `rounding` of the
// norms' sum: what is below it may be anything. By default at least zero.
FPD_HD float squared_distance(float x_squared, float y_squared, float product,
                              float rounding = 0.0f) {
  const float sum = x_squared + y_squared;
  const float square = sum - 2.0f * product, least = rounding * sum;
  return square < least ? least : square;
}

}  // namespace fpd
