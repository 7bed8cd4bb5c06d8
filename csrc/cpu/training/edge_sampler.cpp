#include "ops/training/edge_sampler.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kEdgesPerPiece = 1 << 16;
constexpr std::int64_t kSlicesPerPiece = 1 << 14;
constexpr std::int64_t kLanesPerPiece = 1 << 12;

// A draw is a chain of cache misses: several lanes go through it together, each asking for what
// its next step reads.
constexpr std::int64_t kLanesInFlight = 32;

void draw_lanes(const EdgeDrawArgs& args, std::int64_t first, std::int64_t count) {
  PhiloxBits bits[kLanesInFlight];
  std::int64_t edges[kLanesInFlight];
  for (std::int64_t l = 0; l < count; ++l) {
    bits[l] = first_bits(args, first + l);
    prefetch(args.table.guide + args.table.slice_of(bits[l].low));
  }
  for (std::int64_t l = 0; l < count; ++l) {
    prefetch(args.table.cumulative + args.table.guide[args.table.slice_of(bits[l].low)]);
  }
  for (std::int64_t l = 0; l < count; ++l) {
    edges[l] = args.table.draw(bits[l].low);
    prefetch(args.edge_heads + edges[l]);
    prefetch(args.edge_tails + edges[l]);
  }
  for (std::int64_t l = 0; l < count; ++l) write_lane(args, first + l, bits[l], edges[l]);
}

std::int64_t pieces_of(std::int64_t size) { return (size + kEdgesPerPiece - 1) / kEdgesPerPiece; }

}  // namespace

std::size_t edge_table_scratch(std::int64_t size) { return pieces_of(size) * sizeof(std::int64_t); }

void edge_table(const EdgeTableArgs& args, int threads) {
  std::int64_t* sums = static_cast<std::int64_t*>(args.scratch);
  parallel_for(args.size, kEdgesPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t sum = 0;
    for (std::int64_t e = begin; e < end; ++e) sum += quantised_weight(args.weights[e], args.scale);
    sums[begin / kEdgesPerPiece] = sum;
  });
  std::exclusive_scan(sums, sums + pieces_of(args.size), sums, std::int64_t{0});
  parallel_for(args.size, kEdgesPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t sum = sums[begin / kEdgesPerPiece];
    for (std::int64_t e = begin; e < end; ++e) {
      sum += quantised_weight(args.weights[e], args.scale);
      args.cumulative[e] = sum;
    }
  });
  const CumulativeTable table{args.cumulative, args.guide, args.size, args.guide_bits};
  const std::int64_t slices = (std::int64_t{1} << args.guide_bits) + 1;
  parallel_for(slices, kSlicesPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t s = begin; s < end; ++s) args.guide[s] = table.guide_entry(s);
  });
}

void edge_draw(const EdgeDrawArgs& args, int threads) {
  parallel_for(args.batch, kLanesPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin; first < end; first += kLanesInFlight) {
      draw_lanes(args, first, std::min(kLanesInFlight, end - first));
    }
  });
}

std::int64_t unique_nodes(const UniqueNodesArgs& args) {
  int bits = 4;
  while (bits < 32 && (std::int64_t{1} << bits) < 2 * args.size) ++bits;  // ids are below 2^31
  // Open addressing with places of `nodes` as values, half empty at worst.
  std::vector<std::int32_t> table(std::size_t{1} << bits, -1);
  const std::uint32_t mask = static_cast<std::uint32_t>(table.size() - 1);
  std::int32_t found = 0;
  for (std::int64_t i = 0; i < args.size; ++i) {
    const std::int32_t id = args.ids[i];
    std::uint32_t slot = static_cast<std::uint32_t>(id) * 0x9E3779B1u >> (32 - bits);
    while (table[slot] >= 0 && args.nodes[table[slot]] != id) slot = (slot + 1) & mask;
    if (table[slot] < 0) {
      table[slot] = found;
      args.nodes[found++] = id;
    }
    args.positions[i] = table[slot];
  }
  return found;
}

}  // namespace fpd::cpu
