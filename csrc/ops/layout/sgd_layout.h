// UMAP's layout without a network: epochs of sampled edges, each with uniform negatives, on the
// positions alone. An epoch is a few steps; a step takes a part of the epoch's edges, sums
// their terms at the positions where the step began, and moves each point once. A point has one
// writer, so nothing is locked and the result does not depend on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "math/layout/density_force.h"
#include "math/layout/layout_force.h"
#include "math/support/hash.h"
#include "math/support/philox.h"

namespace fpd {

constexpr int kDrawsPerBlock = 5;  // random words of 32 bits from a Philox block, see fifth_word

// densMAP's term of the edges that a call samples, with pulls of the positions at its start.
struct LayoutDensity {
  const DensityPull* pulls;  // (n,), or null: no such term
  float* sampled_weights;    // (edges,) scratch
  float gain;                // of an edge's slope, before its weight divides it
};

// Where negatives are drawn: from all points, or from a window of points in a row, whose place is
// drawn for each step, block of heads and negative. A draw by itself stays uniform, and those of
// many heads meet in cache lines that the first of them fetched.
struct NegativeWindows {
  std::uint32_t size;  // points of a window; 0: all points
  int heads_log2;      // of the heads in a row that share windows
};

struct SgdLayoutArgs {
  float* positions;              // (n, dim) in and out
  float* next;                   // (n, dim) where every other step writes
  void* scratch;                 // sgd_layout_scratch bytes
  const float* anchors;          // (tail_count, dim) fixed tails, or null: the points themselves
  const std::int64_t* indptr;    // (n + 1,) rows of the graph
  const std::int32_t* tails;     // (edges,) in [0, tail_count)
  const float* weights;          // (edges,)
  const std::uint32_t* streams;  // (n,) random stream of each point
  std::int64_t n;
  std::int64_t edges;
  std::int64_t dim;
  std::int64_t tail_count;
  int negatives;
  int steps_per_epoch;
  std::int64_t first_epoch;
  std::int64_t last_epoch;  // one past the last
  std::int64_t n_epochs;    // of the whole layout: the step size falls to zero over them
  float learning_rate;
  float largest_weight;  // of an edge that is sampled in every epoch
  std::uint64_t seed;
  LayoutForce force;
  LayoutDensity density;
  bool sorted;  // scratch is as a call before left it: of the same edges, parts and terms
  const float* row_weights = nullptr;  // (tail_count,) of a row's pull on others, or null: all 1
  std::int64_t first_row = 0;          // of the positions, that the graph's first row belongs to
  NegativeWindows windows = {0, 0};
  const std::uint16_t* narrow_shares = nullptr;  // (edges,) read instead of weights, or null

  FPD_HD float share(std::int64_t edge) const {
    return narrow_shares != nullptr ? share_of_narrow(narrow_shares[edge])
                                    : samples_per_epoch(weights[edge], largest_weight);
  }
};

// A sample of an edge moves both of its ends. The row of its head holds it as the head's own, with
// negatives; the row of its tail, which holds the other direction with the same weight, takes the
// same move mirrored. The part of an epoch that an edge is sampled in is hashed from its ends, and
// that of its other direction is the mirror image, so that a row knows both.
struct EpochParts {
  int count;
  bool fixed_tails;  // tails do not move: their edges have no other direction

  FPD_HD static EpochParts of(const SgdLayoutArgs& args) {
    return {args.steps_per_epoch, args.anchors != nullptr};
  }
  FPD_HD int mirrored(int part) const { return count - 1 - part; }
  FPD_HD int part_of(std::uint32_t head, std::uint32_t tail) const {
    const bool swapped = !fixed_tails && tail < head;
    const std::uint32_t lower = fixed_tails ? 0 : swapped ? tail : head;
    const std::uint32_t upper = swapped ? head : tail;
    const std::uint64_t bits = mixed_bits(mixed_bits(lower) ^ upper);
    const int part = static_cast<int>((bits * static_cast<std::uint32_t>(count)) >> 32);
    return swapped ? mirrored(part) : part;
  }
};

// One step: reads `from` and `others`, writes `to`.
struct LayoutStep {
  const float* from;
  const float* others;
  float* to;
  std::int64_t epoch;
  int part;
  float size;
  float sum_limit;

  // Steps are counted over the whole call, and change the buffers' roles each time.
  FPD_HD static LayoutStep of(const SgdLayoutArgs& args, std::int64_t count) {
    const std::int64_t epoch = args.first_epoch + count / args.steps_per_epoch;
    const float* from = count % 2 == 0 ? args.positions : args.next;
    float* to = count % 2 == 0 ? args.next : args.positions;
    const float left = 1.0f - static_cast<float>(epoch) / static_cast<float>(args.n_epochs);
    return {from,
            args.anchors == nullptr ? from : args.anchors,
            to,
            epoch,
            static_cast<int>(count % args.steps_per_epoch),
            args.learning_rate * left,
            args.density.pulls == nullptr ? kSumLimit : kDensitySumLimit};
  }
};

inline std::int64_t steps_of(const SgdLayoutArgs& args) {
  return (args.last_epoch - args.first_epoch) * args.steps_per_epoch;
}

// Negatives are drawn by (seed, epoch and block, stream of the head, tail): an edge is sampled at
// most once in an epoch. The upper half of the step's number counts its blocks.
FPD_HD std::uint64_t draw_step(std::int64_t epoch, int block) {
  return static_cast<std::uint64_t>(epoch) | (static_cast<std::uint64_t>(block) << 32);
}

// The draws of all edges of a step for one of their negatives.
struct NegativeDraw {
  std::uint32_t count;
  NegativeWindows windows;
  std::uint32_t key;

  FPD_HD static NegativeDraw of(const SgdLayoutArgs& args, const LayoutStep& step, int negative) {
    if (args.windows.size == 0) return from_all(args);
    const std::uint32_t epoch = static_cast<std::uint32_t>(step.epoch);
    const std::uint32_t place = static_cast<std::uint32_t>(step.part) << 16;
    std::uint32_t key = mixed_bits(static_cast<std::uint32_t>(args.seed) ^ epoch);
    key = mixed_bits(key ^ (place | static_cast<std::uint32_t>(negative)));
    key ^= static_cast<std::uint32_t>(args.seed >> 32);
    return {static_cast<std::uint32_t>(args.tail_count), args.windows, key};
  }
  FPD_HD static NegativeDraw from_all(const SgdLayoutArgs& args) {
    return {static_cast<std::uint32_t>(args.tail_count), {0, 0}, 0};
  }

  // Uniform in [0, count) by a random word, even to count / 2^32.
  FPD_HD std::int32_t tail(std::int64_t head, std::uint32_t word) const {
    if (windows.size == 0) return static_cast<std::int32_t>(scaled(word, count));
    const std::uint32_t block = static_cast<std::uint32_t>(head) >> windows.heads_log2;
    const std::uint32_t place = scaled(mixed_bits(key ^ block), count) + scaled(word, windows.size);
    return static_cast<std::int32_t>(place < count ? place : place - count);
  }

  FPD_HD static std::uint32_t scaled(std::uint32_t word, std::uint32_t size) {
    return static_cast<std::uint32_t>((word * static_cast<std::uint64_t>(size)) >> 32);
  }
};

// densMAP's factor of the difference head - tail, by the pulls of both.
FPD_HD float density_factor(const SgdLayoutArgs& args, float d2, float weight,
                            const DensityPull& pulls) {
  return args.density.gain / weight * DensityForce{args.force.curve}.slope(d2, pulls);
}

FPD_HD float moved(float position, float sum, const LayoutStep& step) {
  return position + step.size * limited(sum, step.sum_limit);
}

namespace cpu {
std::size_t sgd_layout_scratch(std::int64_t n, std::int64_t edges, int steps_per_epoch);
void sgd_layout(const SgdLayoutArgs& args, int threads);
// One step of the first epoch, for the n rows from first_row on: from positions, that of all
// points, to next. The first part finds the edges of the others.
void sgd_layout_part(const SgdLayoutArgs& args, int part, int threads);
}  // namespace cpu
namespace cuda {
std::size_t sgd_layout_scratch(std::int64_t n, std::int64_t edges, int steps_per_epoch);
void sgd_layout(const SgdLayoutArgs& args, void* stream);
}  // namespace cuda

}  // namespace fpd
