// True float32 distances of each row to its candidate neighbours, and the k nearest of them in
// order. The row itself and repeated candidates are dropped; ties go to the smaller index.
#pragma once

#include <cstdint>

#include "math/neighbors/distance.h"

namespace fpd {

struct RerankArgs {
  std::int32_t* indices;           // (rows, k) out, -1 where candidates ran out
  float* distances;                // (rows, k) out, infinite where candidates ran out
  const float* X;                  // (n, dim)
  const std::int32_t* candidates;  // (rows, count), negative entries are empty
  const std::int32_t* points;      // (rows,) whose candidates they are, or null
  const float* queries;            // (rows, dim) whose candidates they are, or null
  std::int64_t first_row;          // without either, candidates are of points from here on
  std::int64_t rows;
  std::int64_t count;
  std::int64_t dim;
  std::int64_t k;
  Metric metric;
  float p;  // exponent of minkowski

  // The row of X that a row of candidates belongs to; -1, which is none, for queries.
  FPD_HD std::int64_t point(std::int64_t row) const {
    if (queries != nullptr) return -1;
    return points != nullptr ? points[row] : first_row + row;
  }

  FPD_HD const float* values(std::int64_t row) const {
    return queries != nullptr ? queries + row * dim : X + point(row) * dim;
  }
};

namespace cpu {
void rerank(const RerankArgs& args, int threads);
}
namespace cuda {
void rerank(const RerankArgs& args, void* stream);
}

}  // namespace fpd
