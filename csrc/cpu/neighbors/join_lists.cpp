#include "ops/neighbors/join_lists.h"

#include <algorithm>
#include <vector>

#include "cpu/neighbors/distance_key.h"
#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kPointsPerPiece = 256;

// The first `width` keys whose index no earlier one has; entries of index -1 are all kept.
FPD_INLINE void keep_first(std::uint64_t* own, std::int32_t* kept, const std::uint64_t* keys,
                           std::int64_t width) {
  for (std::int64_t size = 0; size < width; ++keys) {
    const std::int32_t index = index_of(*keys);
    std::int32_t known = 0;
    for (std::int64_t j = 0; j < size; ++j) known |= kept[j] == index;
    if (known != 0 && index >= 0) continue;
    kept[size] = index;
    own[size++] = *keys;
  }
}

}  // namespace

void join_lists(const JoinListsArgs& args, int threads) {
  parallel_for(args.count, kPointsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::uint64_t> found, both(args.width + args.found);
    std::vector<std::int32_t> kept(args.width);
    for (std::int64_t i = begin; i < end; ++i) {
      std::uint64_t* const own = args.keys + args.points[i] * args.width;
      const float farthest = distance_of(own[args.width - 1]);
      found.clear();
      for (std::int64_t j = i * args.found; j < (i + 1) * args.found; ++j) {
        if (args.indices[j] < 0 || args.distances[j] > farthest) continue;
        found.push_back(distance_key(args.distances[j], args.indices[j]));
      }
      if (found.empty()) continue;
      std::sort(found.begin(), found.end());
      std::merge(own, own + args.width, found.begin(), found.end(), both.begin());
      // A list holds an index once, so there are `width` keys to keep: its own are enough.
      at_simd_level<keep_first>(own, kept.data(), both.data(), args.width);
    }
  });
}

}  // namespace fpd::cpu
