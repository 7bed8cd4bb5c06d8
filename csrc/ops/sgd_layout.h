// UMAP's layout without a network: epochs of sampled edges, each with uniform negatives, on the
// positions alone. An epoch is a few steps; a step takes a part of every point's edges, sums their
// terms at the positions where the step began, and moves each point once. A point has one writer,
// so nothing is locked and the result does not depend on the number of threads.
#pragma once

#include <cstdint>

#include "../math/layout_force.h"
#include "../math/philox.h"

namespace fpd {

constexpr std::int64_t kWordsPerBlock = 4;  // random words of 32 bits in a Philox block

struct SgdLayoutArgs {
  float* positions;              // (n, dim) in and out
  float* scratch;                // (n, dim) where every other step writes
  const float* anchors;          // (tail_count, dim) fixed tails, or null: the points themselves
  const std::int64_t* indptr;    // (steps_per_epoch n + 1,) rows of the graph's parts, one by one
  const std::int32_t* tails;     // (edges,) in [0, tail_count)
  const std::uint32_t* rates;    // (edges,) see is_due
  const std::uint32_t* streams;  // (n,) random stream of each point
  std::int64_t n;
  std::int64_t dim;
  std::int64_t tail_count;
  int negatives;
  int steps_per_epoch;
  std::int64_t first_epoch;
  std::int64_t last_epoch;  // one past the last
  std::int64_t n_epochs;    // of the whole layout: the step size falls to zero over them
  float learning_rate;
  std::uint64_t seed;
  LayoutForce force;
};

// One step: reads `from` and `others`, writes `to`.
struct LayoutStep {
  const float* from;
  const float* others;
  float* to;
  const std::int64_t* indptr;  // (n + 1,) rows of this step's part of the graph
  std::uint32_t epoch;
  std::uint64_t index;  // of the step in the whole layout: of its random numbers
  float size;

  // Steps are counted over the whole call, and change the buffers' roles each time.
  static LayoutStep of(const SgdLayoutArgs& args, std::int64_t count) {
    const std::int64_t epoch = args.first_epoch + count / args.steps_per_epoch;
    const std::int64_t part = count % args.steps_per_epoch;
    const float* from = count % 2 == 0 ? args.positions : args.scratch;
    float* to = count % 2 == 0 ? args.scratch : args.positions;
    const float left = 1.0f - static_cast<float>(epoch) / static_cast<float>(args.n_epochs);
    return {from,
            args.anchors == nullptr ? from : args.anchors,
            to,
            args.indptr + part * args.n,
            static_cast<std::uint32_t>(epoch),
            static_cast<std::uint64_t>(epoch * args.steps_per_epoch + part),
            args.learning_rate * left};
  }
};

inline std::int64_t steps_of(const SgdLayoutArgs& args) {
  return (args.last_epoch - args.first_epoch) * args.steps_per_epoch;
}

// Both ends of an edge move in UMAP. Here each moves in its own row, which holds the other
// direction of the edge with the same weight, so it takes both moves there; anchors do not move.
FPD_HD float attraction_scale(const SgdLayoutArgs& args) {
  return args.anchors == nullptr ? 2.0f : 1.0f;
}

// Random blocks that an edge takes, and the first of them within its point's stream in a step.
FPD_HD std::uint32_t blocks_per_edge(const SgdLayoutArgs& args) {
  return static_cast<std::uint32_t>((args.negatives + kWordsPerBlock - 1) / kWordsPerBlock);
}

FPD_HD std::uint32_t first_block(const SgdLayoutArgs& args, const LayoutStep& step,
                                 std::int64_t point, std::int64_t edge) {
  return static_cast<std::uint32_t>(edge - step.indptr[point]) * blocks_per_edge(args);
}

// A uniform draw from [0, tail_count), even to tail_count / 2^32.
FPD_HD std::int32_t negative_tail(const SgdLayoutArgs& args, std::uint32_t word) {
  return static_cast<std::int32_t>((word * static_cast<std::uint64_t>(args.tail_count)) >> 32);
}

FPD_HD float moved(float position, float sum, const LayoutStep& step) {
  return position + step.size * limited(sum, kSumLimit);
}

namespace cpu {
void sgd_layout(const SgdLayoutArgs& args, int threads);
}
namespace cuda {
void sgd_layout(const SgdLayoutArgs& args, void* stream);
}

}  // namespace fpd
