// Matrix products of unit rows in half precision, and the search of nearest_in_tile.h among them,
// in one pass: the cosines are never written. Lists ascend by (bound, column).
#pragma once

#include <cstdint>

#include "ops/neighbors/nearest_in_tile.h"

namespace fpd {

constexpr std::int64_t kUnitColumns = 8;       // the columns of units are a multiple of,
constexpr std::int64_t kMaxUnitColumns = 128;  // and no more than a device's registers hold

struct NearestByCosinesArgs {
  CandidateLists lists;
  const std::uint16_t* units;         // (rows, dim) bits of half precision
  const std::uint16_t* column_units;  // (columns, dim)
  const float* norms;                 // (columns,), infinite for columns that are no rows
  float slack;                        // error of a cosine
  std::int64_t columns;
  std::int64_t dim;
  std::int64_t first_column;  // index of the first column, above all that came before
};

namespace cpu {
void nearest_by_cosines(const NearestByCosinesArgs& args, int threads);
}
namespace cuda {
void nearest_by_cosines(const NearestByCosinesArgs& args, void* stream);
}

}  // namespace fpd
