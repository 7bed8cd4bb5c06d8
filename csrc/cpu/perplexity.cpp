#include "../ops/perplexity.h"

#include <algorithm>
#include <vector>

#include "parallel.h"
#include "simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 1024;

FPD_HD EntropySums entropy_sums(const float* squares, std::int64_t k, float beta) {
  float y[kLanes] = {}, uy[kLanes] = {}, uuy[kLanes] = {};
  for (std::int64_t block = 0; block < k; block += kLanes) {
    const int live = static_cast<int>(std::min(k - block, kLanes));
    for (int l = 0; l < static_cast<int>(kLanes); ++l) {
      const float u = squares[block + l] * beta;
      EntropySums::add(y[l], uy[l], uuy[l], u, l < live ? exp_fast(-u) : 0.0f);
    }
  }
  return {lane_sum(y), lane_sum(uy), lane_sum(uuy)};
}

// beta for squares shifted to start at 0; `ties` of them are 0.
FPD_HD float beta_of_row(const PerplexityArgs& args, const float* squares, float mean_square,
                         std::int64_t ties) {
  BetaBracket bracket = BetaBracket::start(mean_square);
  if (!BetaBracket::has_root(static_cast<float>(ties), args.target_nats)) return bracket.high;
  for (int step = 0; step < BetaBracket::kMaxSteps; ++step) {
    const EntropySums sums = entropy_sums(squares, args.k, bracket.beta);
    if (bracket.update(sums, args.target_nats)) break;
  }
  return bracket.beta;
}

FPD_MULTIVERSION void perplexity_rows(const PerplexityArgs& args, std::int64_t begin,
                                      std::int64_t end, float* squares) {
  const float share = 1.0f / static_cast<float>(args.k);
  for (std::int64_t row = begin; row < end; ++row) {
    const float* distances = args.distances + row * args.k;
    float smallest = INFINITY, largest = 0.0f;
    for (std::int64_t j = 0; j < args.k; ++j) {
      smallest = min_of(smallest, distances[j]);
      largest = max_of(largest, distances[j]);
    }
    // Distances relative to the largest: their squares cannot overflow.
    const float scale = reciprocal_or_zero(largest);
    float mean_square = 0.0f;
    std::int64_t ties = 0;
    for (std::int64_t j = 0; j < args.k; ++j) {
      squares[j] = shifted_square(distances[j] * scale, smallest * scale);
      mean_square += squares[j] * share;
      ties += squares[j] == 0.0f;
    }
    const float beta = beta_of_row(args, squares, mean_square, ties);
    float* weights = args.weights + row * args.k;
    float sum = 0.0f;
    for (std::int64_t j = 0; j < args.k; ++j) weights[j] = exp_fast(-beta * squares[j]);
    for (std::int64_t j = 0; j < args.k; ++j) sum += weights[j];
    const float inverse = 1.0f / sum;
    for (std::int64_t j = 0; j < args.k; ++j) weights[j] *= inverse;
    args.beta[row] = beta * scale * scale;
  }
}

}  // namespace

void perplexity(const PerplexityArgs& args, int threads) {
  if (args.n == 0) return;
  parallel_for(args.n, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> squares(padded(args.k), 0.0f);
    perplexity_rows(args, begin, end, squares.data());
  });
}

}  // namespace fpd::cpu
