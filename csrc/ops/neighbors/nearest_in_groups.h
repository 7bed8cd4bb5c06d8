// The rows of a table that are nearest to queries, where queries come in groups and each group
// meets some of the rows alone. Squared distances are those of nearest_by_products.h.
#pragma once

#include <cstdint>

#include "ops/neighbors/nearest_by_products.h"

namespace fpd {

struct NearestInGroupsArgs {
  std::int32_t* indices;         // (queries, width) out, ascending by (square, index), -1: no row
  float* squares;                // (queries, width) out, infinite: no row
  PlainRows queries;             // (queries, dim)
  PlainRows rows;                // (rows, dim)
  const std::int32_t* order;     // (queries,) those of a group one after the other
  const std::int64_t* ends;      // (groups,) of each in the order
  const std::int32_t* met;       // rows that a group's queries meet, one group's after the other
  const std::int64_t* met_ends;  // (groups,)
  std::int64_t groups;
  std::int64_t width;
};

namespace cpu {
void nearest_in_groups(const NearestInGroupsArgs& args, int threads);
}  // namespace cpu

}  // namespace fpd
