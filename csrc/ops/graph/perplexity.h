// t-SNE's conditional probabilities of each point's neighbours from their distances.
#pragma once

#include <cstdint>

#include "math/graph/perplexity.h"

namespace fpd {

struct PerplexityArgs {
  float* weights;          // (n, k) out, each row sums to one
  float* beta;             // (n,) out
  const float* distances;  // (n, k)
  std::int64_t n;
  std::int64_t k;
  float target_nats;  // log of the perplexity
};

namespace cpu {
void perplexity(const PerplexityArgs& args, int threads);
}
namespace cuda {
void perplexity(const PerplexityArgs& args, void* stream);
}

}  // namespace fpd
