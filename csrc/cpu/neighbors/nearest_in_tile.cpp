#include "ops/neighbors/nearest_in_tile.h"

#include <algorithm>

#include "cpu/neighbors/sorted_list.h"
#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 16;

FPD_INLINE void update_row(const NearestInTileArgs& args, std::int64_t row) {
  const std::int64_t width = args.lists.width;
  float* const bounds = args.lists.bounds + row * width;
  std::int32_t* const indices = args.lists.indices + row * width;
  const float row_norm = args.lists.row_norms[row];
  float found[kLanes];
  for (std::int64_t column = 0; column < args.columns; column += kLanes) {
    const std::int64_t lanes = std::min(kLanes, args.columns - column);
    const float farthest = bounds[width - 1];
    bool any = false;
    if (lanes == kLanes) {  // a constant count vectorises
      for (std::int64_t l = 0; l < kLanes; ++l) found[l] = args.bound(row_norm, row, column + l);
      for (std::int64_t l = 0; l < kLanes; ++l) any |= found[l] < farthest;
    } else {
      for (std::int64_t l = 0; l < lanes; ++l) found[l] = args.bound(row_norm, row, column + l);
      any = true;
    }
    if (!any) continue;
    for (std::int64_t l = 0; l < lanes; ++l) {
      if (!(found[l] < bounds[width - 1])) continue;
      insert(bounds, indices, width, found[l],
             static_cast<std::int32_t>(args.first_column + column + l));
    }
  }
}

}  // namespace

void nearest_in_tile(const NearestInTileArgs& args, int threads) {
  parallel_for(args.lists.rows, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) at_simd_level<update_row>(args, row);
  });
}

}  // namespace fpd::cpu
