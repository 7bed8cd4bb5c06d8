// Membership strengths of each point's neighbours from their distances.
#pragma once

#include <cstdint>

#include "math/graph/smooth_knn.h"

namespace fpd {

struct SmoothKnnArgs {
  float* weights;            // (n, k) out
  float* rho;                // (n,) out
  float* sigma;              // (n,) out
  const float* distances;    // (n, k), rows in any order
  const float* global_mean;  // (1,) the floor's mean where rho is 0
  std::int64_t n;
  std::int64_t k;
  SmoothKnnRule rule;
};

namespace cpu {
void smooth_knn(const SmoothKnnArgs& args, int threads);
}
namespace cuda {
void smooth_knn(const SmoothKnnArgs& args, void* stream);
}

}  // namespace fpd
