#include "ops/graph/shared_neighbors.h"

#include <algorithm>

#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 256;
constexpr std::int64_t kAhead = 16;  // candidates whose lists are asked for

FPD_INLINE void count_rows(const SharedNeighborsArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t last = args.n * args.k;
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int32_t* const own = args.lists + i * args.stride;
    const std::int64_t size = list_size(own, args.stride);
    for (std::int64_t c = i * args.k; c < (i + 1) * args.k; ++c) {
      const std::int32_t ahead = args.candidates[std::min(c + kAhead, last - 1)];
      if (ahead >= 0) prefetch(args.lists + ahead * args.stride);
      const std::int32_t other = args.candidates[c];
      args.counts[c] =
          other < 0 ? 0 : count_shared(own, size, args.lists + other * args.stride, args.stride);
    }
  }
}

}  // namespace

void shared_neighbors(const SharedNeighborsArgs& args, int threads) {
  if (args.k == 0) return;
  parallel_for(args.n, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    at_simd_level<count_rows>(args, begin, end);
  });
}

}  // namespace fpd::cpu
