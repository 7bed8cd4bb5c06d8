// The nearest rows of some rows by the differences of their coordinates, which cancel no digits
// where products do. The table is searched in parts, each with lists of its own, so that few rows
// keep a device busy. Lists ascend by (squared distance, index); a row is among its own nearest.
#pragma once

#include <cstdint>

#include "math/neighbors/distance.h"
#include "ops/neighbors/nearest_in_tile.h"

namespace fpd {

struct NearestByDifferencesArgs {
  CandidateLists lists;        // rows times parts, squared distances as bounds; norms are not read
  const float* X;              // (n, dim)
  const std::int32_t* points;  // (rows,) of X
  std::int64_t rows;
  std::int64_t n;
  std::int64_t dim;
  std::int64_t parts;

  FPD_HD std::int64_t list(std::int64_t row, std::int64_t part) const { return row * parts + part; }

  // Part p takes rows part_begin(p), ... part_begin(p + 1) - 1 of the table.
  FPD_HD std::int64_t part_begin(std::int64_t part) const { return part * n / parts; }
};

namespace cpu {
void nearest_by_differences(const NearestByDifferencesArgs& args, int threads);
}
namespace cuda {
void nearest_by_differences(const NearestByDifferencesArgs& args, void* stream);
}

}  // namespace fpd
