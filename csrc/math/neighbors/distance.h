// Distances between two rows, one struct a metric: `add` takes one pair of coordinates into the
// running sums, `merge` joins two pairs of sums, `finish` turns sums into the distance. `norm` is
// used by Bray-Curtis, by Minkowski for the largest difference so far, and beside missing values
// for the coordinates that both rows have.
#pragma once

#include <cfloat>
#include <cmath>
#include <cstdint>

#include "math/support/elementary.h"

namespace fpd {

enum class Metric {
  euclidean = 0,
  sqeuclidean = 1,
  inner_product = 2,  // 1 - <x, y>
  manhattan = 3,
  chebyshev = 4,
  minkowski = 5,
  canberra = 6,
  braycurtis = 7,
  jensenshannon = 8,  // of rows that sum to one
  hamming = 9,
  nan_euclidean = 10,  // of the coordinates that neither row misses, for as many as there are
};

// (1 + t) log(1 + t) + (1 - t) log(1 - t) for |t| <= 1, the divergence of x and y from their mean m
// by m, with t = (x - y) / (x + y). The series keeps the digits of close values.
FPD_HD float divergence_of_ratio(float t) {
  const float t2 = t * t;
  const float close =
      t2 * (1.0f + t2 * (1.0f / 6 + t2 * (1.0f / 15 + t2 * (1.0f / 28 + t2 * (1.0f / 45)))));
  const float above = 1.0f + magnitude(t), below = 1.0f - magnitude(t);
  const float apart = above * log_fast(above) + below * log_fast(below + FLT_MIN);
  const float share = t2 < 0.0625f ? 0.0f : 1.0f;
  return close * (1.0f - share) + apart * share;
}

// (x / y)^p for 0 <= x <= y, and 0 for two zeros. A product with 0 or 1, since a choice would cost
// the vectoriser the loop.
FPD_HD float power_of_ratio(float x, float y, float p) {
  return pow_fast(x / (y + FLT_MIN), p) * (x > 0.0f ? 1.0f : 0.0f);
}

// Of floats, or of the lanes of vectors.
template <typename T>
FPD_HD void add_squared_difference(T& sum, const T& x, const T& y) {
  const T difference = x - y;
  sum += difference * difference;
}

template <Metric metric>
struct Distance {
  float p;    // exponent of minkowski
  float dim;  // coordinates of a row

  // Whether a distance is a function of one sum over coordinates.
  static constexpr bool is_sum = metric != Metric::chebyshev && metric != Metric::minkowski &&
                                 metric != Metric::braycurtis && metric != Metric::nan_euclidean;

  FPD_HD void add(float& sum, float& norm, float x, float y) const {
    const float difference = x - y;
    if constexpr (metric == Metric::euclidean || metric == Metric::sqeuclidean) {
      add_squared_difference(sum, x, y);
    } else if constexpr (metric == Metric::inner_product) {
      sum += x * y;
    } else if constexpr (metric == Metric::manhattan) {
      sum += magnitude(difference);
    } else if constexpr (metric == Metric::chebyshev) {
      sum = max_of(sum, magnitude(difference));
    } else if constexpr (metric == Metric::minkowski) {
      // Relative to the largest difference: powers of the differences themselves leave float32.
      const float size = magnitude(difference);
      const float power = power_of_ratio(min_of(size, norm), max_of(size, norm), p);
      sum = size > norm ? sum * power + 1.0f : sum + power;
      norm = max_of(size, norm);
    } else if constexpr (metric == Metric::canberra) {
      const float scale = magnitude(x) + magnitude(y);
      sum += scale == 0.0f ? 0.0f : magnitude(difference) / scale;
    } else if constexpr (metric == Metric::braycurtis) {
      sum += magnitude(difference);
      norm += magnitude(x + y);
    } else if constexpr (metric == Metric::hamming) {
      sum += x != y ? 1.0f : 0.0f;
    } else if constexpr (metric == Metric::nan_euclidean) {
      const bool there = difference == difference;  // of finite values and of what is missing
      sum += there ? difference * difference : 0.0f;
      norm += there ? 1.0f : 0.0f;
    } else {
      const float total = x + y;
      sum += 0.25f * total * divergence_of_ratio(difference / (total + FLT_MIN));
    }
  }

  FPD_HD void merge(float& sum, float& norm, float other_sum, float other_norm) const {
    if constexpr (metric == Metric::chebyshev) {
      sum = max_of(sum, other_sum);
    } else if constexpr (metric == Metric::minkowski) {
      const float power = power_of_ratio(min_of(norm, other_norm), max_of(norm, other_norm), p);
      sum = other_norm > norm ? sum * power + other_sum : sum + other_sum * power;
      norm = max_of(norm, other_norm);
    } else {
      sum += other_sum;
      norm += other_norm;
    }
  }

  FPD_HD float finish(float sum, float norm) const {
    if constexpr (metric == Metric::euclidean || metric == Metric::jensenshannon) {
      return sqrtf(max_of(0.0f, sum));  // what is not a number stays so
    } else if constexpr (metric == Metric::inner_product) {
      return 1.0f - sum;
    } else if constexpr (metric == Metric::minkowski) {
      return norm == 0.0f ? 0.0f : norm * pow_fast(sum, 1.0f / p);
    } else if constexpr (metric == Metric::braycurtis) {
      if (norm > 0.0f) return sum / norm;
      return sum > 0.0f ? INFINITY : 0.0f;  // x and -x are infinitely far apart
    } else if constexpr (metric == Metric::hamming) {
      return sum / dim;
    } else if constexpr (metric == Metric::nan_euclidean) {
      return norm == 0.0f ? INFINITY : sqrtf(sum * (dim / norm));
    } else {
      return sum;
    }
  }
};

// Calls f, on the host, with the Distance of a metric known only at run time.
template <typename F>
FPD_INLINE void visit_metric(Metric metric, float p, std::int64_t dim, F&& f) {
  const auto d = static_cast<float>(dim);
  switch (metric) {
    case Metric::euclidean: return f(Distance<Metric::euclidean>{p, d});
    case Metric::sqeuclidean: return f(Distance<Metric::sqeuclidean>{p, d});
    case Metric::inner_product: return f(Distance<Metric::inner_product>{p, d});
    case Metric::manhattan: return f(Distance<Metric::manhattan>{p, d});
    case Metric::chebyshev: return f(Distance<Metric::chebyshev>{p, d});
    case Metric::minkowski: return f(Distance<Metric::minkowski>{p, d});
    case Metric::canberra: return f(Distance<Metric::canberra>{p, d});
    case Metric::braycurtis: return f(Distance<Metric::braycurtis>{p, d});
    case Metric::jensenshannon: return f(Distance<Metric::jensenshannon>{p, d});
    case Metric::hamming: return f(Distance<Metric::hamming>{p, d});
    case Metric::nan_euclidean: return f(Distance<Metric::nan_euclidean>{p, d});
  }
}

}  // namespace fpd
