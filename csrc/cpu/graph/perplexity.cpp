#include "ops/graph/perplexity.h"

#include <algorithm>
#include <vector>

#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 128;

FPD_HD EntropySums entropy_sums(const float* squares, std::int64_t k, float beta) {
  float y[kLanes] = {}, uy[kLanes] = {}, uuy[kLanes] = {};
  const std::int64_t whole = k / kLanes * kLanes;
  for (std::int64_t block = 0; block < whole; block += kLanes) {
    for (std::int64_t l = 0; l < kLanes; ++l) {
      const float u = squares[block + l] * beta;
      EntropySums::add(y[l], uy[l], uuy[l], u, exp_fast(-u));
    }
  }
  for (std::int64_t l = 0; l < kLanes; ++l) {  // the last ones, in a row padded with zeros
    const float u = squares[whole + l] * beta;
    EntropySums::add(y[l], uy[l], uuy[l], u, whole + l < k ? exp_fast(-u) : 0.0f);
  }
  return {lane_sum(y), lane_sum(uy), lane_sum(uuy)};
}

// beta for squares shifted to start at 0.
FPD_HD float beta_of_row(const PerplexityArgs& args, const float* squares,
                         const SquareMoments& moments) {
  BetaBracket bracket = BetaBracket::start(moments, static_cast<float>(args.k), args.target_nats);
  if (!BetaBracket::has_root(moments, args.target_nats)) return bracket.high;
  for (int step = 0; step < BetaBracket::kMaxSteps; ++step) {
    const EntropySums sums = entropy_sums(squares, args.k, bracket.beta);
    if (bracket.update(sums, args.target_nats)) break;
  }
  return bracket.beta;
}

// Calls f(lane, j) for each j of a row, neighbouring j in neighbouring lanes.
template <typename F>
FPD_HD void for_lanes(std::int64_t k, const F& f) {
  std::int64_t block = 0;
  for (; block + kLanes <= k; block += kLanes) {
    for (std::int64_t l = 0; l < kLanes; ++l) f(l, block + l);
  }
  for (std::int64_t l = 0; block + l < k; ++l) f(l, block + l);
}

FPD_INLINE void perplexity_rows(const PerplexityArgs& args, std::int64_t begin, std::int64_t end,
                                float* squares) {
  const float share = 1.0f / static_cast<float>(args.k);
  for (std::int64_t row = begin; row < end; ++row) {
    const float* distances = args.distances + row * args.k;
    float low[kLanes], high[kLanes], sums[kLanes] = {};
    float square_sums[kLanes] = {}, ties[kLanes] = {};
    for (std::int64_t l = 0; l < kLanes; ++l) low[l] = INFINITY, high[l] = 0.0f;
    for_lanes(args.k, [&](std::int64_t l, std::int64_t j) FPD_INLINE_LAMBDA {
      low[l] = min_of(low[l], distances[j]);
      high[l] = max_of(high[l], distances[j]);
    });
    const float smallest = *std::min_element(low, low + kLanes);
    // Distances relative to the largest: their squares cannot overflow.
    const float scale = reciprocal_or_zero(*std::max_element(high, high + kLanes));
    for_lanes(args.k, [&](std::int64_t l, std::int64_t j) FPD_INLINE_LAMBDA {
      squares[j] = shifted_square(distances[j], smallest, scale);
      sums[l] += squares[j] * share;
      square_sums[l] += squares[j] * squares[j] * share;
      ties[l] += squares[j] == 0.0f ? 1.0f : 0.0f;
    });
    const float beta =
        beta_of_row(args, squares, {lane_sum(sums), lane_sum(square_sums), lane_sum(ties)});
    float* weights = args.weights + row * args.k;
    std::fill(sums, sums + kLanes, 0.0f);
    for_lanes(args.k, [&](std::int64_t l, std::int64_t j) FPD_INLINE_LAMBDA {
      weights[j] = exp_fast(-beta * squares[j]);
      sums[l] += weights[j];
    });
    const float inverse = 1.0f / lane_sum(sums);
    for (std::int64_t j = 0; j < args.k; ++j) weights[j] *= inverse;
    args.beta[row] = beta * scale * scale;
  }
}

}  // namespace

void perplexity(const PerplexityArgs& args, int threads) {
  if (args.n == 0) return;
  parallel_for(args.n, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> squares(padded(args.k + 1), 0.0f);
    at_simd_level<perplexity_rows>(args, begin, end, squares.data());
  });
}

}  // namespace fpd::cpu
