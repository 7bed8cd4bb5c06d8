// What an edge of a layout needs besides positions: its negatives, and both ends' pulls.
#pragma once

#include "ops/layout/sgd_layout.h"

namespace fpd::cuda {

__device__ inline DensityPull pulls_of(const SgdLayoutArgs& args, std::int64_t head,
                                       std::int32_t tail) {
  const DensityPull* const pulls = args.density.pulls;
  return {pulls[head].by_strength + pulls[tail].by_strength,
          pulls[head].by_square + pulls[tail].by_square};
}

// The points that an edge of a step draws from one block of random words.
struct Draws {
  std::uint32_t words[kDrawsPerBlock - 1];

  __device__ Draws(const SgdLayoutArgs& args, const LayoutStep& step, int block, std::int64_t head,
                   std::int32_t tail)
      : words{args.streams[head], static_cast<std::uint32_t>(tail),
              static_cast<std::uint32_t>(draw_step(step.epoch, block)),
              static_cast<std::uint32_t>(draw_step(step.epoch, block) >> 32)} {
    philox_rounds(words[0], words[1], words[2], words[3], static_cast<std::uint32_t>(args.seed),
                  static_cast<std::uint32_t>(args.seed >> 32));
  }

  // Chosen by comparisons: an index would move the words out of registers. Without windows their
  // key takes none.
  template <bool kWindows>
  __device__ std::int32_t tail(const SgdLayoutArgs& args, const LayoutStep& step, int block,
                               std::int64_t head, int draw) const {
    std::uint32_t word = fifth_word(words[0], words[1], words[2], words[3]);
#pragma unroll
    for (int i = 0; i < kDrawsPerBlock - 1; ++i) word = draw == i ? words[i] : word;
    if constexpr (kWindows) {
      return NegativeDraw::of(args, step, block * kDrawsPerBlock + draw).tail(head, word);
    } else {
      return NegativeDraw::from_all(args).tail(head, word);
    }
  }
};

}  // namespace fpd::cuda
