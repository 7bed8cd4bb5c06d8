#include "../ops/sgd_layout.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "parallel.h"
#include "simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kPointsPerPiece = 512;

// Due edges of a piece of points, in the order of the points: their ends and random blocks.
struct Due {
  std::vector<std::int32_t> heads;
  std::vector<std::int32_t> tails;
  std::vector<std::uint32_t> blocks;
  std::int64_t size = 0;

  explicit Due(std::int64_t capacity) : heads(capacity), tails(capacity), blocks(capacity) {}

  // Spare lanes repeat the last edge.
  void pad() {
    for (std::int64_t l = size; l < padded(size); ++l) {
      heads[l] = heads[size - 1];
      tails[l] = tails[size - 1];
      blocks[l] = blocks[size - 1];
    }
  }
};

Due find_due(const SgdLayoutArgs& args, const LayoutStep& step, std::int64_t begin,
             std::int64_t end) {
  Due due(step.indptr[end] - step.indptr[begin] + kLanes);
  std::int64_t size = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    for (std::int64_t e = step.indptr[i]; e < step.indptr[i + 1]; ++e) {
      due.heads[size] = static_cast<std::int32_t>(i);
      due.tails[size] = args.tails[e];
      due.blocks[size] = first_block(args, step, i, e);
      size += is_due(args.rates[e], step.epoch) ? 1 : 0;  // the next overwrites one that is not
    }
  }
  due.size = size;
  due.pad();
  return due;
}

// Random words of one block of each lane, (kWordsPerBlock, kLanes).
FPD_HD void draw_words(const SgdLayoutArgs& args, const LayoutStep& step, const std::int32_t* heads,
                       const std::uint32_t* blocks, std::uint32_t block, std::uint32_t* words) {
  std::uint32_t* const c0 = words;
  std::uint32_t* const c1 = c0 + kLanes;
  std::uint32_t* const c2 = c1 + kLanes;
  std::uint32_t* const c3 = c2 + kLanes;
  for (std::int64_t l = 0; l < kLanes; ++l) {
    c0[l] = args.streams[heads[l]];
    c1[l] = blocks[l] + block;
    c2[l] = static_cast<std::uint32_t>(step.index);
    c3[l] = static_cast<std::uint32_t>(step.index >> 32);
  }
  std::uint32_t k0 = static_cast<std::uint32_t>(args.seed);
  std::uint32_t k1 = static_cast<std::uint32_t>(args.seed >> 32);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    for (std::int64_t l = 0; l < kLanes; ++l) {
      philox_round(c0[l], c1[l], c2[l], c3[l], k0, k1);
    }
    k0 += kPhiloxKeyStep0;
    k1 += kPhiloxKeyStep1;
  }
}

// head - tail of each lane, (dim, kLanes), and their squared lengths.
template <int kDim>
FPD_HD void load_differences(const SgdLayoutArgs& args, const LayoutStep& step,
                             const std::int32_t* heads, const std::int32_t* tails,
                             float* differences, float* d2) {
  const std::int64_t dim = kDim > 0 ? kDim : args.dim;
  for (std::int64_t l = 0; l < kLanes; ++l) {
    const float* head = step.from + heads[l] * dim;
    const float* tail = step.others + tails[l] * dim;
    for (std::int64_t c = 0; c < dim; ++c) differences[c * kLanes + l] = head[c] - tail[c];
  }
  for (std::int64_t l = 0; l < kLanes; ++l) d2[l] = 0.0f;
  for (std::int64_t c = 0; c < dim; ++c) {
    for (std::int64_t l = 0; l < kLanes; ++l) {
      d2[l] += differences[c * kLanes + l] * differences[c * kLanes + l];
    }
  }
}

FPD_HD void add_terms(std::int64_t dim, float scale, const float* factors, const float* differences,
                      float* forces) {
  for (std::int64_t c = 0; c < dim; ++c) {
    for (std::int64_t l = 0; l < kLanes; ++l) {
      const std::int64_t at = c * kLanes + l;
      forces[at] += scale * limited(factors[l] * differences[at], kTermLimit);
    }
  }
}

// The terms of kLanes edges and their negatives, summed for each, (dim, kLanes).
template <int kDim>
FPD_HD void edge_forces(const SgdLayoutArgs& args, const LayoutStep& step, const Due& due,
                        std::int64_t first, float* differences, float* forces) {
  const std::int64_t dim = kDim > 0 ? kDim : args.dim;
  const std::int32_t* heads = due.heads.data() + first;
  const LayoutForce force = args.force;  // a copy: stores to the lanes cannot change it
  float d2[kLanes], factors[kLanes];
  for (std::int64_t at = 0; at < dim * kLanes; ++at) forces[at] = 0.0f;
  load_differences<kDim>(args, step, heads, due.tails.data() + first, differences, d2);
  for (std::int64_t l = 0; l < kLanes; ++l) factors[l] = force.attraction(d2[l]);
  add_terms(dim, attraction_scale(args), factors, differences, forces);
  std::uint32_t words[kWordsPerBlock * kLanes];
  for (int negative = 0; negative < args.negatives; ++negative) {
    const int word = negative % static_cast<int>(kWordsPerBlock);
    if (word == 0) {
      const std::uint32_t block = static_cast<std::uint32_t>(negative / kWordsPerBlock);
      draw_words(args, step, heads, due.blocks.data() + first, block, words);
    }
    std::int32_t tails[kLanes];
    for (std::int64_t l = 0; l < kLanes; ++l) {
      tails[l] = negative_tail(args, words[word * kLanes + l]);
    }
    load_differences<kDim>(args, step, heads, tails, differences, d2);
    for (std::int64_t l = 0; l < kLanes; ++l) factors[l] = force.repulsion(d2[l]);
    add_terms(dim, 1.0f, factors, differences, forces);
  }
}

template <int kDim>
FPD_HD void sum_forces(const SgdLayoutArgs& args, const LayoutStep& step, const Due& due,
                       std::int64_t begin, float* differences, float* forces, float* sums) {
  const std::int64_t dim = kDim > 0 ? kDim : args.dim;
  for (std::int64_t first = 0; first < due.size; first += kLanes) {
    edge_forces<kDim>(args, step, due, first, differences, forces);
    const std::int64_t lanes = std::min(kLanes, due.size - first);
    for (std::int64_t l = 0; l < lanes; ++l) {
      float* sum = sums + (due.heads[first + l] - begin) * dim;
      for (std::int64_t c = 0; c < dim; ++c) sum[c] += forces[c * kLanes + l];
    }
  }
}

FPD_MULTIVERSION void sum_forces_2d(const SgdLayoutArgs& args, const LayoutStep& step,
                                    const Due& due, std::int64_t begin, float* sums) {
  float differences[2 * kLanes], forces[2 * kLanes];
  sum_forces<2>(args, step, due, begin, differences, forces, sums);
}

FPD_MULTIVERSION void sum_forces_any(const SgdLayoutArgs& args, const LayoutStep& step,
                                     const Due& due, std::int64_t begin, float* scratch,
                                     float* sums) {
  sum_forces<0>(args, step, due, begin, scratch, scratch + args.dim * kLanes, sums);
}

void move_points(const SgdLayoutArgs& args, const LayoutStep& step, std::int64_t begin,
                 std::int64_t end) {
  const Due due = find_due(args, step, begin, end);
  std::vector<float> sums((end - begin) * args.dim);
  if (args.dim == 2) {
    sum_forces_2d(args, step, due, begin, sums.data());
  } else {
    std::vector<float> scratch(2 * args.dim * kLanes);
    sum_forces_any(args, step, due, begin, scratch.data(), sums.data());
  }
  for (std::int64_t at = 0; at < (end - begin) * args.dim; ++at) {
    const std::int64_t place = begin * args.dim + at;
    step.to[place] = moved(step.from[place], sums[at], step);
  }
}

}  // namespace

void sgd_layout(const SgdLayoutArgs& args, int threads) {
  const std::int64_t steps = steps_of(args);
  for (std::int64_t count = 0; count < steps; ++count) {
    const LayoutStep step = LayoutStep::of(args, count);
    parallel_for(args.n, kPointsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
      move_points(args, step, begin, end);
    });
  }
  if (steps % 2 == 1) std::memcpy(args.positions, args.scratch, args.n * args.dim * sizeof(float));
}

}  // namespace fpd::cpu
