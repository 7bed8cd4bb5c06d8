// The k nearest of a point's candidates, as `rerank` and `sparse_rerank` write them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace fpd::cpu {

using Candidate = std::pair<float, std::int32_t>;

// Ascending by (distance, index), repeated ones dropped; -1 and infinity where they run out.
inline void write_nearest(std::vector<Candidate>& found, std::int64_t k, std::int32_t* indices,
                          float* distances) {
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  for (std::int64_t j = 0; j < k; ++j) {
    const bool there = j < static_cast<std::int64_t>(found.size());
    distances[j] = there ? found[j].first : INFINITY;
    indices[j] = there ? found[j].second : -1;
  }
}

}  // namespace fpd::cpu
