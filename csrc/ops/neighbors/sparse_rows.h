// Neighbours among sparse rows: scores of all rows through the columns that a query has, by metrics
// of one sum over coordinates, and true distances to candidates, by any metric of finite values.
#pragma once

#include <cstdint>

#include "math/neighbors/distance.h"

namespace fpd {

struct SparseRows {
  const std::int64_t* indptr;   // (n + 1,)
  const std::int32_t* columns;  // (nnz,) ascending in each row, none twice
  const float* values;          // (nnz,)
};

struct SparseNearestArgs {
  std::int32_t* indices;       // (queries, count) out, nearest first
  SparseRows query_rows;       // the table that the queries are rows of
  SparseRows by_column;        // the rows that have a column, and their values
  const float* alone;          // (n,) each row's sum of `Distance::add` beside an empty row
  const std::int32_t* points;  // (queries,) of `query_rows`
  std::int64_t queries;
  std::int64_t n;
  std::int64_t dim;
  std::int64_t count;  // at most n
  Metric metric;
};

struct SparseRerankArgs {
  std::int32_t* indices;  // (queries, k) out, -1 where candidates ran out
  float* distances;       // (queries, k) out, infinite where candidates ran out
  SparseRows rows;
  SparseRows query_rows;           // the table that the queries are rows of
  const std::int32_t* candidates;  // (queries, count) of `rows`, negative entries are empty
  const std::int32_t* points;      // (queries,) of `query_rows`, whose candidates they are
  const std::int32_t* itself;      // (queries,) the row that each is and drops, or null
  std::int64_t queries;
  std::int64_t dim;
  std::int64_t count;
  std::int64_t k;
  Metric metric;
  float p;  // exponent of minkowski
};

// What a coordinate that both rows have changes in the sum, beside those that one has alone.
template <typename DistanceType>
FPD_HD float overlap(const DistanceType& distance, float x, float y) {
  float both = 0.0f, alone = 0.0f, norm = 0.0f;
  distance.add(both, norm, x, y);
  distance.add(alone, norm, x, 0.0f);
  distance.add(alone, norm, 0.0f, y);
  return both - alone;
}

// The sums of a row's coordinates beside those of another: of those that the row has, and, to be
// taken from the other's sum over all of its own, of what the row takes part in.
struct SparseSums {
  float here = 0.0f;
  double taken = 0.0;  // squares of floats are exact in it, so close rows keep their digits
  std::int32_t hits = 0;

  template <typename DistanceType>
  FPD_HD void add(const DistanceType& distance, float x, float y) {
    float alone = 0.0f, norm = 0.0f;
    distance.add(here, norm, x, y);
    distance.add(alone, norm, x, 0.0f);
    taken += alone;
    hits += x != 0.0f;
  }

  // `alone` is the other row's sum over all of its coordinates, of which `size` are not zero.
  template <typename DistanceType>
  FPD_HD float finish(const DistanceType& distance, double alone, std::int32_t size) const {
    const double rest = hits == size ? 0.0 : alone - taken;
    return distance.finish(static_cast<float>(here + rest), 0.0f);
  }
};

namespace cpu {
void sparse_nearest(const SparseNearestArgs& args, int threads);
void sparse_rerank(const SparseRerankArgs& args, int threads);
}  // namespace cpu

}  // namespace fpd
