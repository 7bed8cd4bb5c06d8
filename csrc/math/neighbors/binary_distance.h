// Distances of two rows of zeros and ones, functions of four counts: the columns set in both rows,
// those set in either, and all there are. Rows set in the same columns are at no distance.
#pragma once

#include <cstdint>

#include "math/support/host_device.h"

namespace fpd {

enum class BinaryMetric {
  jaccard = 0,
  dice = 1,
  matching = 2,
  kulsinski = 3,
  rogerstanimoto = 4,
  russellrao = 5,
  sokalsneath = 6,
  yule = 7,
};

template <BinaryMetric metric>
struct BinaryDistance {
  float dim;

  // Divisors of zero are made 1 and quotients multiplied with 0 or 1: a choice would cost the
  // vectoriser the loop.
  FPD_HD float operator()(float both, float first, float second) const {
    const float first_alone = first - both, second_alone = second - both;
    const float differ = first_alone + second_alone;
    const float same = differ == 0.0f ? 1.0f : 0.0f;
    if constexpr (metric == BinaryMetric::jaccard) {
      return differ / (both + differ + same);
    } else if constexpr (metric == BinaryMetric::dice) {
      return differ / (2.0f * both + differ + same);
    } else if constexpr (metric == BinaryMetric::matching) {
      return differ / dim;
    } else if constexpr (metric == BinaryMetric::kulsinski) {
      return (1.0f - same) * (differ - both + dim) / (differ + dim);
    } else if constexpr (metric == BinaryMetric::rogerstanimoto) {
      return 2.0f * differ / (dim + differ);
    } else if constexpr (metric == BinaryMetric::russellrao) {
      return (1.0f - same) * (dim - both) / dim;
    } else if constexpr (metric == BinaryMetric::sokalsneath) {
      return differ / (0.5f * both + differ + same);
    } else {
      const float crossed = first_alone * second_alone;
      const float neither = dim - both - differ;
      return 2.0f * crossed / (both * neither + crossed + (crossed == 0.0f ? 1.0f : 0.0f));
    }
  }
};

// Calls f, on the host, with the BinaryDistance of a metric known only at run time.
template <typename F>
FPD_INLINE void visit_binary_metric(BinaryMetric metric, std::int64_t dim, F&& f) {
  const auto d = static_cast<float>(dim);
  switch (metric) {
    case BinaryMetric::jaccard: return f(BinaryDistance<BinaryMetric::jaccard>{d});
    case BinaryMetric::dice: return f(BinaryDistance<BinaryMetric::dice>{d});
    case BinaryMetric::matching: return f(BinaryDistance<BinaryMetric::matching>{d});
    case BinaryMetric::kulsinski: return f(BinaryDistance<BinaryMetric::kulsinski>{d});
    case BinaryMetric::rogerstanimoto: return f(BinaryDistance<BinaryMetric::rogerstanimoto>{d});
    case BinaryMetric::russellrao: return f(BinaryDistance<BinaryMetric::russellrao>{d});
    case BinaryMetric::sokalsneath: return f(BinaryDistance<BinaryMetric::sokalsneath>{d});
    case BinaryMetric::yule: return f(BinaryDistance<BinaryMetric::yule>{d});
  }
}

}  // namespace fpd
