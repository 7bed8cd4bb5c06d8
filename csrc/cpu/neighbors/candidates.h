// The k nearest of a point's candidates, as `rerank` and `sparse_rerank` write them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace fpd::cpu {

using Candidate = std::pair<float, std::int32_t>;

// Leaves the smallest in order and each once, `wanted` of them or more where there are so many.
inline void keep_nearest(std::vector<Candidate>& found, std::size_t wanted) {
  for (std::size_t sorted = 2 * wanted;; sorted *= 2) {
    const auto end = found.begin() + std::min(found.size(), sorted);
    std::nth_element(found.begin(), end, found.end());
    std::sort(found.begin(), end);
    const auto distinct = std::unique(found.begin(), end);
    const auto count = static_cast<std::size_t>(distinct - found.begin());
    const bool done = count >= wanted || end == found.end();
    found.erase(distinct, done ? found.end() : end);
    if (done) return;
  }
}

// Ascending by (distance, index), repeated ones and what is not a number dropped; -1 and infinity
// where they run out.
inline void write_nearest(std::vector<Candidate>& found, std::int64_t k, std::int32_t* indices,
                          float* distances) {
  const auto no_number = [](const Candidate& candidate) { return std::isnan(candidate.first); };
  found.erase(std::remove_if(found.begin(), found.end(), no_number), found.end());
  keep_nearest(found, static_cast<std::size_t>(k));
  for (std::int64_t j = 0; j < k; ++j) {
    const bool there = j < static_cast<std::int64_t>(found.size());
    distances[j] = there ? found[j].first : INFINITY;
    indices[j] = there ? found[j].second : -1;
  }
}

}  // namespace fpd::cpu
