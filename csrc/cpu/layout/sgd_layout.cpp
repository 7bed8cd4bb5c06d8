#include "ops/layout/sgd_layout.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cpu/layout/sampled_edges.h"
#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

// Edges in flight: their tails are fetched together, far more than one cache miss at a time.
constexpr std::int64_t kBatch = 128;
static_assert(kBatch % kLanes == 0, "a batch is whole lanes");

// A batch of edges, filled up to whole lanes with its last one.
struct Batch {
  std::int32_t heads[kBatch];
  std::int32_t tails[kBatch];
  std::uint32_t words[kDrawsPerBlock][kBatch];
  std::int64_t size;

  FPD_HD void take(const EdgeList& edges, std::int64_t first, std::int64_t begin) {
    const std::int64_t taken = std::min(kBatch, edges.size - first);
    size = padded(taken);
    const std::int32_t offset = static_cast<std::int32_t>(begin);
    for (std::int64_t l = 0; l < taken; ++l) heads[l] = offset + edges.heads[first + l];
    for (std::int64_t l = 0; l < taken; ++l) tails[l] = edges.tails[first + l];
    for (std::int64_t l = taken; l < size; ++l) heads[l] = heads[taken - 1];
    for (std::int64_t l = taken; l < size; ++l) tails[l] = tails[taken - 1];
  }

  // The random words of one block of each edge.
  FPD_HD void draw(const SgdLayoutArgs& args, std::uint64_t step) {
    const std::uint32_t k0 = static_cast<std::uint32_t>(args.seed);
    const std::uint32_t k1 = static_cast<std::uint32_t>(args.seed >> 32);
    for (std::int64_t l = 0; l < size; ++l) words[0][l] = args.streams[heads[l]];
    for (std::int64_t l = 0; l < size; ++l) {
      std::uint32_t c0 = words[0][l], c1 = static_cast<std::uint32_t>(tails[l]);
      std::uint32_t c2 = static_cast<std::uint32_t>(step);
      std::uint32_t c3 = static_cast<std::uint32_t>(step >> 32);
      philox_rounds(c0, c1, c2, c3, k0, k1);
      words[0][l] = c0;
      words[1][l] = c1;
      words[2][l] = c2;
      words[3][l] = c3;
      words[4][l] = fifth_word(c0, c1, c2, c3);
    }
  }
};

// Columns (dim, kBatch) of the rows of some points, whole lanes of them.
template <int kDim>
FPD_HD void gather(const float* rows, const std::int32_t* points, std::int64_t count,
                   std::int64_t dim, float* columns) {
  if constexpr (kDim == 2) {
    float pairs[2 * kBatch];  // a point is fetched at once, the two columns are parted later
    for (std::int64_t l = 0; l < count; ++l) {
      std::memcpy(pairs + 2 * l, rows + 2 * static_cast<std::int64_t>(points[l]),
                  2 * sizeof(float));
    }
    for (std::int64_t l = 0; l < count; ++l) {
      columns[l] = pairs[2 * l];
      columns[kBatch + l] = pairs[2 * l + 1];
    }
  } else {
    for (std::int64_t l = 0; l < count; ++l) {
      const float* row = rows + points[l] * dim;
      for (std::int64_t c = 0; c < dim; ++c) columns[c * kBatch + l] = row[c];
    }
  }
}

struct Unscaled {
  FPD_HD float operator()(float term, std::int64_t) const { return term; }
};

struct ScaledBy {
  const float* scales;
  FPD_HD float operator()(float term, std::int64_t place) const { return scales[place] * term; }
};

// Adds factor(d2, place) of each difference head - tail, its components limited and then scaled, to
// the forces.
template <int kDim, typename Factor, typename Scale>
FPD_HD void add_terms(std::int64_t count, std::int64_t any_dim, const float* heads,
                      const float* tails, float* forces, const Factor& factor, const Scale& scale) {
  const std::int64_t dim = kDim > 0 ? kDim : any_dim;
  for (std::int64_t first = 0; first < count; first += kLanes) {
    float factors[kLanes];
    for (std::int64_t l = 0; l < kLanes; ++l) factors[l] = 0.0f;
    for (std::int64_t c = 0; c < dim; ++c) {
      for (std::int64_t l = 0; l < kLanes; ++l) {
        const float difference = heads[c * kBatch + first + l] - tails[c * kBatch + first + l];
        factors[l] += difference * difference;
      }
    }
    for (std::int64_t l = 0; l < kLanes; ++l) factors[l] = factor(factors[l], first + l);
    for (std::int64_t c = 0; c < dim; ++c) {
      for (std::int64_t l = 0; l < kLanes; ++l) {
        const std::int64_t at = c * kBatch + first + l;
        const float term = limited(factors[l] * (heads[at] - tails[at]), kTermLimit);
        forces[at] += scale(term, first + l);
      }
    }
  }
}

template <bool kWeighted>
FPD_HD auto scale_of(const float* scales) {
  if constexpr (kWeighted) {
    return ScaledBy{scales};
  } else {
    return Unscaled{};
  }
}

// Adds densMAP's terms of the edges of a batch, of which `taken` have a weight, to the forces.
template <int kDim, typename Scale>
FPD_HD void add_density(const SgdLayoutArgs& args, const Batch& batch, const float* sampled_weights,
                        std::int64_t taken, std::int64_t dim, const float* heads,
                        const float* tails, float* forces, const Scale& scale) {
  float weights[kBatch], by_strength[kBatch], by_square[kBatch];
  std::copy_n(sampled_weights, taken, weights);
  std::fill(weights + taken, weights + batch.size, 1.0f);
  for (std::int64_t l = 0; l < batch.size; ++l) {
    const DensityPull head = args.density.pulls[batch.heads[l]];
    const DensityPull tail = args.density.pulls[batch.tails[l]];
    by_strength[l] = head.by_strength + tail.by_strength;
    by_square[l] = head.by_square + tail.by_square;
  }
  const SgdLayoutArgs own = args;  // a copy: stores to the forces cannot change it
  const auto factor = [&](float d2, std::int64_t l) FPD_INLINE_LAMBDA {
    return density_factor(own, d2, weights[l], {by_strength[l], by_square[l]});
  };
  add_terms<kDim>(batch.size, dim, heads, tails, forces, factor, scale);
}

// Adds the terms of edges to the sums (points, dim) of their heads; columns are three of
// (dim, kBatch).
template <int kDim, bool kWeighted>
FPD_HD void sum_forces(const SgdLayoutArgs& args, const LayoutStep& step, const EdgeList& edges,
                       int negatives, std::int64_t begin, float* columns, float* sums) {
  const std::int64_t dim = kDim > 0 ? kDim : args.dim;
  float* const heads = columns;
  float* const tails = heads + dim * kBatch;
  float* const forces = tails + dim * kBatch;
  const LayoutForce force = args.force;  // a copy: stores to the columns cannot change it
  const auto attraction = [=](float d2, std::int64_t)
                              FPD_INLINE_LAMBDA { return force.attraction(d2); };
  const auto repulsion = [=](float d2, std::int64_t)
                             FPD_INLINE_LAMBDA { return force.repulsion(d2); };
  float pulls[kWeighted ? kBatch : 1], pushes[kWeighted ? kBatch : 1];
  Batch batch;
  for (std::int64_t first = 0; first < edges.size; first += kBatch) {
    const std::int64_t taken = std::min(kBatch, edges.size - first);
    batch.take(edges, first, args.first_row + begin);
    gather<kDim>(step.from, batch.heads, batch.size, dim, heads);
    gather<kDim>(step.others, batch.tails, batch.size, dim, tails);
    std::fill_n(forces, dim * kBatch, 0.0f);
    const auto pull = scale_of<kWeighted>(pulls);
    if constexpr (kWeighted) {
      for (std::int64_t l = 0; l < batch.size; ++l) pulls[l] = args.row_weights[batch.tails[l]];
    }
    add_terms<kDim>(batch.size, dim, heads, tails, forces, attraction, pull);
    if (args.density.pulls != nullptr) {
      add_density<kDim>(args, batch, edges.weights + first, taken, dim, heads, tails, forces, pull);
    }
    for (int negative = 0; negative < negatives; ++negative) {
      const int word = negative % kDrawsPerBlock;
      if (word == 0) batch.draw(args, draw_step(step.epoch, negative / kDrawsPerBlock));
      const NegativeDraw draw = NegativeDraw::of(args, step, negative);
      std::int32_t drawn[kBatch];
      for (std::int64_t l = 0; l < batch.size; ++l) {
        drawn[l] = draw.tail(batch.heads[l], batch.words[word][l]);
      }
      gather<kDim>(step.others, drawn, batch.size, dim, tails);
      if constexpr (kWeighted) {
        for (std::int64_t l = 0; l < batch.size; ++l) {
          pushes[l] = pulls[l] * args.row_weights[drawn[l]];
        }
      }
      add_terms<kDim>(batch.size, dim, heads, tails, forces, repulsion,
                      scale_of<kWeighted>(pushes));
    }
    for (std::int64_t l = 0; l < taken; ++l) {
      float* sum = sums + edges.heads[first + l] * dim;
      for (std::int64_t c = 0; c < dim; ++c) sum[c] += forces[c * kBatch + l];
    }
  }
}

template <bool kWeighted>
FPD_HD void sum_forces_in_plane(const SgdLayoutArgs& args, const LayoutStep& step,
                                const EdgeList& edges, int negatives, std::int64_t begin,
                                float* sums) {
  float columns[3 * 2 * kBatch];
  sum_forces<2, kWeighted>(args, step, edges, negatives, begin, columns, sums);
}

FPD_INLINE void sum_forces_2d(const SgdLayoutArgs& args, const LayoutStep& step,
                              const EdgeList& edges, int negatives, std::int64_t begin,
                              float* sums) {
  sum_forces_in_plane<false>(args, step, edges, negatives, begin, sums);
}

FPD_INLINE void sum_weighted_2d(const SgdLayoutArgs& args, const LayoutStep& step,
                                const EdgeList& edges, int negatives, std::int64_t begin,
                                float* sums) {
  sum_forces_in_plane<true>(args, step, edges, negatives, begin, sums);
}

FPD_INLINE void sum_forces_any(const SgdLayoutArgs& args, const LayoutStep& step,
                               const EdgeList& edges, int negatives, std::int64_t begin,
                               float* sums) {
  std::vector<float> columns(3 * args.dim * kBatch);
  sum_forces<0, false>(args, step, edges, negatives, begin, columns.data(), sums);
}

FPD_INLINE void sum_weighted_any(const SgdLayoutArgs& args, const LayoutStep& step,
                                 const EdgeList& edges, int negatives, std::int64_t begin,
                                 float* sums) {
  std::vector<float> columns(3 * args.dim * kBatch);
  sum_forces<0, true>(args, step, edges, negatives, begin, columns.data(), sums);
}

using SumOfForces = void (*)(const SgdLayoutArgs&, const LayoutStep&, const EdgeList&, int,
                             std::int64_t, float*);

SumOfForces sum_for(const SgdLayoutArgs& args) {
  if (args.row_weights != nullptr) {
    return args.dim == 2 ? at_simd_level<sum_weighted_2d> : at_simd_level<sum_weighted_any>;
  }
  return args.dim == 2 ? at_simd_level<sum_forces_2d> : at_simd_level<sum_forces_any>;
}

void move_points(const SgdLayoutArgs& args, const LayoutStep& step, const SampledEdges& sampled,
                 std::int64_t begin, std::int64_t end) {
  const SumOfForces sum = sum_for(args);
  const std::int64_t piece = begin / kPointsPerPiece;
  std::vector<float> sums((end - begin) * args.dim);
  sum(args, step, sampled.list(piece, step.part), args.negatives, begin, sums.data());
  if (args.anchors == nullptr) {
    const int other = EpochParts::of(args).mirrored(step.part);
    sum(args, step, sampled.list(piece, other), 0, begin, sums.data());
  }
  for (std::int64_t at = 0; at < (end - begin) * args.dim; ++at) {
    const std::int64_t place = (args.first_row + begin) * args.dim + at;
    step.to[place] = moved(step.from[place], sums[at], step);
  }
}

void take_step(const SgdLayoutArgs& args, const LayoutStep& step, const SampledEdges& sampled,
               int threads) {
  if (step.part == 0) {
    // Forwards and backwards in turn: of a graph on the disk, what was read last is still held.
    const bool backwards = step.epoch % 2 == 1;
    const std::int64_t last = (args.n - 1) / kPointsPerPiece * kPointsPerPiece;
    parallel_for(args.n, kPointsPerPiece, threads, [&](std::int64_t begin, std::int64_t) {
      const std::int64_t first = backwards ? last - begin : begin;
      sampled.find(first, std::min(args.n, first + kPointsPerPiece), step.epoch);
    });
  }
  parallel_for(args.n, kPointsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    move_points(args, step, sampled, begin, end);
  });
}

}  // namespace

std::size_t sgd_layout_scratch(std::int64_t n, std::int64_t edges, int steps_per_epoch) {
  return SampledEdges::bytes(n, edges, steps_per_epoch);
}

void sgd_layout(const SgdLayoutArgs& args, int threads) {
  if (args.n == 0) return;
  const SampledEdges sampled(args);
  const std::int64_t steps = steps_of(args);
  for (std::int64_t count = 0; count < steps; ++count) {
    take_step(args, LayoutStep::of(args, count), sampled, threads);
  }
  if (steps % 2 == 1) std::memcpy(args.positions, args.next, args.n * args.dim * sizeof(float));
}

void sgd_layout_part(const SgdLayoutArgs& args, int part, int threads) {
  if (args.n == 0) return;
  LayoutStep step = LayoutStep::of(args, part);
  step.from = step.others = args.positions;
  step.to = args.next;
  take_step(args, step, SampledEdges(args), threads);
}

}  // namespace fpd::cpu
