#include "ops/training/anchor_loss.h"

#include <algorithm>
#include <vector>

#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"
#include "cpu/support/squares.h"
#include "cpu/support/subnormals.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 16;

// Loss and gradient of a row; `odds` has room for one value an anchor.
FPD_INLINE void loss_of_row(const AnchorLossArgs& args, std::int64_t row, float* odds) {
  const float* scores = args.scores + row * args.count;
  float* shares = args.gradient + row * args.count;
  const float* position = args.positions + row * args.dim;
  squared_distances(shares, position, args.anchors, args.count, args.count, args.dim);
  const float least = chosen_of<min_of>(shares, args.count);
  const float most = chosen_of<max_of>(scores, args.count);
  const std::int64_t nearest = std::find(shares, shares + args.count, least) - shares;
  const AnchorShare share_of(least, args.reaches[std::min(nearest, args.count - 1)]);
  float share_sums[kLanes] = {}, odd_sums[kLanes] = {}, products[kLanes] = {}, doubts[kLanes] = {};
  for_lanes(args.count, [&](std::int64_t lane, std::int64_t i) FPD_INLINE_LAMBDA {
    const float score = scores[i] - most;
    doubts[lane] += (score - score) + (shares[i] - shares[i]);  // exponentials lose what is NaN
    odds[i] = exp_fast(score);
    shares[i] = share_of(shares[i]);
    odd_sums[lane] += odds[i];
    share_sums[lane] += shares[i];
    products[lane] += shares[i] * score;
  });
  const float doubt = lane_sum(doubts);
  const AnchorSums sums{lane_sum(share_sums), lane_sum(odd_sums), lane_sum(products)};
  args.row_losses[row] = static_cast<double>(sums.loss() + doubt);
  const float mean = 1.0f / static_cast<float>(args.rows) + doubt;
#pragma GCC ivdep
  for (std::int64_t i = 0; i < args.count; ++i) shares[i] = mean * sums.slope(shares[i], odds[i]);
}

}  // namespace

void anchor_loss(const AnchorLossArgs& args, int threads) {
  parallel_for(args.rows, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    const FlushedSubnormals flushed;
    std::vector<float> odds(static_cast<std::size_t>(args.count));
    for (std::int64_t row = begin; row < end; ++row) {
      at_simd_level<loss_of_row>(args, row, odds.data());
    }
  });
  double loss = 0.0;
  for (std::int64_t row = 0; row < args.rows; ++row) loss += args.row_losses[row];
  *args.loss = static_cast<float>(loss / static_cast<double>(args.rows));
}

}  // namespace fpd::cpu
