// The rows that are nearest to each row among those it shares a cluster with, where a row may be in
// several clusters. Each cluster is compared all with all, by products of rows less its centre, so
// that close rows of a far cluster keep their digits. What its rows found joins their lists, which
// keep the smallest distance of a pair, and the smallest of these, whatever the order: the result
// does not depend on the number of threads.
#pragma once

#include <cstdint>

#include "ops/neighbors/nearest_by_products.h"

namespace fpd {

constexpr std::uint64_t kNoNeighbor = 0x7F800000FFFFFFFFu;  // at infinity, index -1

// The members of a cluster whose lists are filled: all, or where a cluster is large some of them,
// so that several threads share it. A product is then taken for each of its two rows.
struct ClusterTask {
  std::int64_t cluster;
  std::int64_t first;  // a multiple of kProductBlock
  std::int64_t last;   // one past the last
};

struct NearestInClustersArgs {
  std::uint64_t* keys;   // (n, width) in and out: distances and indices, ascending, each index once
  const float* X;        // (n, dim), or with names (members, dim) in the order of the members
  const float* centers;  // (clusters, dim) what is subtracted from the rows of each
  float scale;           // what the differences are multiplied with
  std::int64_t dim;
  std::int64_t width;
  const std::int32_t* members;  // rows of the clusters one after the other
  const std::int32_t* names;    // (members,) what lists call them, null where members are rows of X
  const std::int64_t* starts;   // (clusters + 1,)
  const std::int64_t* known;    // (clusters,) how many of its first members have met before
  const ClusterTask* tasks;     // what is compared
  std::int64_t count;           // of tasks
};

namespace cpu {
void nearest_in_clusters(const NearestInClustersArgs& args, int threads);
}  // namespace cpu

}  // namespace fpd
