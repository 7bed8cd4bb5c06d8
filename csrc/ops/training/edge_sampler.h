// Draws of positive edges by weight, with replacement, and of negative tails uniformly from all
// points. A lane is one positive edge with its negatives; each takes its own Philox blocks, so
// the draws depend on (seed, step) alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "math/training/weighted_choice.h"

namespace fpd {

struct EdgeTableArgs {
  std::int64_t* cumulative;  // (size,) out
  std::int64_t* guide;       // (2^guide_bits + 1,) out
  void* scratch;             // edge_table_scratch bytes
  const float* weights;      // (size,)
  std::int64_t size;
  int guide_bits;
  double scale;  // of the quantised weights
};

struct EdgeDrawArgs {
  std::int32_t* heads;  // (batch,) out
  std::int32_t* tails;  // (batch, 1 + negatives) out, the positive one first
  CumulativeTable table;
  const std::int32_t* edge_heads;  // (table.size,)
  const std::int32_t* edge_tails;  // (table.size,)
  std::int64_t batch;
  int negatives;
  std::int64_t n;  // points
  std::uint64_t seed;
  std::uint64_t step;
  // (1,) the step instead, where it is known on the device alone; or null. A launch that is
  // recorded once and repeated draws anew each time.
  const std::int64_t* counter;
};

FPD_HD std::uint64_t step_of(const EdgeDrawArgs& args) {
  return args.counter == nullptr ? args.step : static_cast<std::uint64_t>(*args.counter);
}

FPD_HD PhiloxBits first_bits(const EdgeDrawArgs& args, std::int64_t lane) {
  return philox(args.seed, step_of(args), static_cast<std::uint32_t>(lane), 0);
}

// put(slot, node) for the tails of a lane, given its first random bits and the edge they choose.
template <typename Put>
FPD_HD void each_tail(const EdgeDrawArgs& args, std::int64_t lane, PhiloxBits bits,
                      std::int64_t edge, const Put& put) {
  const std::uint32_t lane_bits = static_cast<std::uint32_t>(lane);
  const std::uint64_t step = step_of(args);
  put(0, args.edge_tails[edge]);
  for (int slot = 1; slot <= args.negatives; ++slot) {
    if (slot % 2 == 0) bits = philox(args.seed, step, lane_bits, slot / 2);
    const std::uint64_t draw = slot % 2 == 0 ? bits.low : bits.high;
    put(slot, static_cast<std::int32_t>(multiply_high(draw, static_cast<std::uint64_t>(args.n))));
  }
}

FPD_HD void write_lane(const EdgeDrawArgs& args, std::int64_t lane, PhiloxBits bits,
                       std::int64_t edge) {
  args.heads[lane] = args.edge_heads[edge];
  std::int32_t* tails = args.tails + lane * (1 + args.negatives);
  each_tail(args, lane, bits, edge, [&](int slot, std::int32_t node) { tails[slot] = node; });
}

FPD_HD void draw_lane(const EdgeDrawArgs& args, std::int64_t lane) {
  const PhiloxBits bits = first_bits(args, lane);
  write_lane(args, lane, bits, args.table.draw(bits.low));
}

struct UniqueNodesArgs {
  std::int32_t* nodes;      // (size,) out: the distinct ids in order of first appearance
  std::int32_t* positions;  // (size,) out: where in `nodes` each id stands
  const std::int32_t* ids;  // (size,) not negative
  std::int64_t size;
};

namespace cpu {
std::size_t edge_table_scratch(std::int64_t size);
void edge_table(const EdgeTableArgs& args, int threads);
void edge_draw(const EdgeDrawArgs& args, int threads);
// Returns how many ids are distinct. The device has fixed shapes and embeds duplicates twice.
std::int64_t unique_nodes(const UniqueNodesArgs& args);
}  // namespace cpu
namespace cuda {
std::size_t edge_table_scratch(std::int64_t size);
void edge_table(const EdgeTableArgs& args, void* stream);
void edge_draw(const EdgeDrawArgs& args, void* stream);
}  // namespace cuda

}  // namespace fpd
