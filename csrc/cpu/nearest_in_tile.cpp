#include "../ops/nearest_in_tile.h"

#include <algorithm>

#include "parallel.h"
#include "simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 16;

// Of columns with one bound, the earlier stays.
void insert(float* bounds, std::int32_t* indices, std::int64_t width, float bound,
            std::int32_t index) {
  const std::int64_t place = std::upper_bound(bounds, bounds + width, bound) - bounds;
  std::copy_backward(bounds + place, bounds + width - 1, bounds + width);
  std::copy_backward(indices + place, indices + width - 1, indices + width);
  bounds[place] = bound;
  indices[place] = index;
}

FPD_MULTIVERSION void take_in_row(const NearestInTileArgs& args, std::int64_t row) {
  float* bounds = args.bounds + row * args.width;
  std::int32_t* indices = args.indices + row * args.width;
  const float row_norm = args.row_norms[row];
  float found[kLanes];
  for (std::int64_t column = 0; column < args.columns; column += kLanes) {
    const std::int64_t lanes = std::min(kLanes, args.columns - column);
    const float farthest = bounds[args.width - 1];
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
      if (!(found[l] < bounds[args.width - 1])) continue;
      insert(bounds, indices, args.width, found[l],
             static_cast<std::int32_t>(args.first_column + column + l));
    }
  }
}

}  // namespace

void nearest_in_tile(const NearestInTileArgs& args, int threads) {
  parallel_for(args.rows, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) take_in_row(args, row);
  });
}

}  // namespace fpd::cpu
