#include "../ops/nearest_in_tile.h"

#include <algorithm>

#include "candidate_lists.h"
#include "parallel.h"
#include "simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 16;

FPD_MULTIVERSION void take_in_row(const NearestInTileArgs& args, std::int64_t row) {
  const CandidateLists& lists = args.lists;
  const float row_norm = lists.row_norms[row];
  float found[kLanes];
  for (std::int64_t column = 0; column < args.columns; column += kLanes) {
    const std::int64_t lanes = std::min(kLanes, args.columns - column);
    const float farthest = lists.bounds[(row + 1) * lists.width - 1];
    bool any = false;
    if (lanes == kLanes) {  // a constant count vectorises
      for (std::int64_t l = 0; l < kLanes; ++l) found[l] = args.bound(row_norm, row, column + l);
      for (std::int64_t l = 0; l < kLanes; ++l) any |= found[l] < farthest;
    } else {
      for (std::int64_t l = 0; l < lanes; ++l) found[l] = args.bound(row_norm, row, column + l);
      any = true;
    }
    if (any) join_list(lists, row, found, lanes, args.first_column + column);
  }
}

}  // namespace

void nearest_in_tile(const NearestInTileArgs& args, int threads) {
  parallel_for(args.lists.rows, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) take_in_row(args, row);
  });
}

}  // namespace fpd::cpu
