// What other searches found joins the lists of some points: of a point and a neighbour the smallest
// distance stays, and of all the smallest by (distance, index), whatever the order of calls.
#pragma once

#include <cstdint>

namespace fpd {

struct JoinListsArgs {
  std::uint64_t* keys;         // (n, width) in and out: distances and indices, ascending, each once
  const std::int32_t* points;  // (count,) none twice
  const std::int32_t* indices;  // (count, found) of neighbours, -1 for none
  const float* distances;       // (count, found) not negative
  std::int64_t width;
  std::int64_t count;
  std::int64_t found;
};

namespace cpu {
void join_lists(const JoinListsArgs& args, int threads);
}  // namespace cpu

}  // namespace fpd
