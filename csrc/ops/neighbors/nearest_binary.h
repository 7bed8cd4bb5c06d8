// The rows of zeros and ones nearest to some, by counts of the columns that are set in both: of
// packed rows by their bits, of listed ones through the columns that a query has.
#pragma once

#include <cstdint>

#include "math/neighbors/binary_distance.h"

namespace fpd {

// Packed, or of no width and listed.
struct BinaryRows {
  const std::uint64_t* words;   // (n, width) a bit for each column
  const std::int64_t* indptr;   // (n + 1,)
  const std::int32_t* columns;  // (nnz,) set in each row, none twice
  const float* sizes;           // (n,) how many are set
  std::int64_t width;
};

struct NearestBinaryArgs {
  std::int32_t* indices;  // (queries, k) out, -1 where rows ran out
  float* distances;       // (queries, k) out, ascending, infinite where rows ran out
  BinaryRows rows;        // n of them; listed ones by column: the rows that have each
  BinaryRows queries;
  std::int64_t first;   // of the queries asked
  std::int64_t count;   // of them
  std::int64_t itself;  // the row that the first query is, the others following, or -1 for none
  std::int64_t n;
  std::int64_t dim;
  std::int64_t k;
  BinaryMetric metric;
};

namespace cpu {
void nearest_binary(const NearestBinaryArgs& args, int threads);
}  // namespace cpu

}  // namespace fpd
