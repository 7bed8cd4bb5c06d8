// Matrix products of unit rows in half precision, and the search of nearest_in_tile.h among them,
// in one pass: the cosines are never written. Lists ascend by (bound, column).
#pragma once

#include <cstdint>

#include "ops/neighbors/nearest_in_tile.h"

namespace fpd {

constexpr std::int64_t kUnitColumns = 8;       // the columns of units are a multiple of,
constexpr std::int64_t kMaxUnitColumns = 128;  // and no more than registers hold of a row for mma,
constexpr std::int64_t kMostUnitColumns = 1 << 16;  // or than anything takes

// By which instructions a device multiplies.
enum class ProductEngine : int {
  fastest,  // of those that the device has
  mma,      // a warp's, of sm_80 and later
  wgmma,    // a warpgroup's, of sm_90 alone
};

struct NearestByCosinesArgs {
  CandidateLists lists;
  const std::uint16_t* units;         // (rows, dim) bits of half precision
  const std::uint16_t* column_units;  // (columns, dim)
  const float* norms;                 // (columns,), infinite for columns that are no rows
  float slack;                        // error of a cosine
  std::int64_t columns;
  std::int64_t dim;
  std::int64_t first_column;  // index of the first column, above all that came before
  ProductEngine engine;
};

namespace cpu {
void nearest_by_cosines(const NearestByCosinesArgs& args, int threads);
// The most columns of units that an engine takes here, 0 without it. The CPU has no engines.
inline std::int64_t most_unit_columns(ProductEngine) { return kMostUnitColumns; }
}  // namespace cpu
namespace cuda {
void nearest_by_cosines(const NearestByCosinesArgs& args, void* stream);
std::int64_t most_unit_columns(ProductEngine engine);
}  // namespace cuda

}  // namespace fpd
