#include "ops/training/anchor_modes.h"

#include <algorithm>
#include <vector>

#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"
#include "cpu/support/squares.h"
#include "cpu/support/subnormals.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 32;

// What a thread keeps of the anchors that a row does not neglect, with room for all of them.
struct Kept {
  float* scores;       // below the best one
  float* squares;      // of distances from where the row is
  float* coordinates;  // (dim, anchors)
  std::int64_t count;
};

FPD_INLINE void keep_anchors(Kept& kept, const AnchorModesArgs& args, const float* scores,
                             float best) {
  kept.count = 0;
  for (std::int64_t i = 0; i < args.count; ++i) {
    const float score = scores[i] - best;
    if (score < kNegligible) continue;  // what is not a number is kept
    kept.scores[kept.count] = score;
    for (std::int64_t c = 0; c < args.dim; ++c) {
      kept.coordinates[c * args.count + kept.count] = args.anchors[c * args.count + i];
    }
    ++kept.count;
  }
}

FPD_INLINE void shift(float* mode, const Kept& kept, const AnchorModesArgs& args, float window) {
  squared_distances(kept.squares, mode, kept.coordinates, args.count, kept.count, args.dim);
  float* weights = kept.squares;
  float sums[kLanes] = {};
  for_lanes(kept.count, [&](std::int64_t lane, std::int64_t i) FPD_INLINE_LAMBDA {
    weights[i] = mode_weight(kept.scores[i], kept.squares[i], window);
    sums[lane] += weights[i];
  });
  const float sum = lane_sum(sums);
  for (std::int64_t c = 0; c < args.dim; ++c) {
    const float* coordinate = kept.coordinates + c * args.count;
    const float own = mode[c];  // differences from it keep the digits of near anchors
    float moves[kLanes] = {};
    for_lanes(kept.count, [&](std::int64_t lane, std::int64_t i) FPD_INLINE_LAMBDA {
      moves[lane] += weights[i] * (coordinate[i] - own);
    });
    mode[c] = own + lane_sum(moves) / sum;
  }
}

FPD_INLINE void mode_of_row(const AnchorModesArgs& args, std::int64_t row, Kept& kept) {
  const float* scores = args.scores + row * args.count;
  float* mode = args.modes + row * args.dim;
  float doubts[kLanes] = {};
  for_lanes(args.count, [&](std::int64_t lane, std::int64_t i)
                            FPD_INLINE_LAMBDA { doubts[lane] += scores[i] - scores[i]; });
  const float doubt = lane_sum(doubts), most = chosen_of<max_of>(scores, args.count);
  // Without a number among them any anchor will do: the doubt tells.
  const std::int64_t found = std::find(scores, scores + args.count, most) - scores;
  const std::int64_t best = std::min(found, args.count - 1);
  for (std::int64_t c = 0; c < args.dim; ++c) mode[c] = args.anchors[c * args.count + best];
  keep_anchors(kept, args, scores, most);
  for (int i = 0; i < kModeShifts; ++i) shift(mode, kept, args, args.windows[best]);
  for (std::int64_t c = 0; c < args.dim; ++c) mode[c] += doubt;
}

}  // namespace

void anchor_modes(const AnchorModesArgs& args, int threads) {
  parallel_for(args.rows, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    const FlushedSubnormals flushed;
    std::vector<float> room(static_cast<std::size_t>((args.dim + 2) * args.count));
    float* coordinates = room.data() + 2 * args.count;
    Kept kept{room.data(), room.data() + args.count, coordinates, 0};
    for (std::int64_t row = begin; row < end; ++row) {
      at_simd_level<mode_of_row>(args, row, kept);
    }
  });
}

}  // namespace fpd::cpu
