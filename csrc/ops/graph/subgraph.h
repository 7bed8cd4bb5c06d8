// The square matrix of a graph's edges among some of its points.
#pragma once

#include <cstdint>

#include "math/support/host_device.h"

namespace fpd {

struct SubgraphArgs {
  float* out;                   // (m, m), zeros at first
  const std::int32_t* points;   // (m,) distinct, within [0, n)
  const std::int32_t* places;   // (n,) place of each point among `points`, or -1
  const std::int64_t* indptr;   // (n + 1,)
  const std::int32_t* indices;  // (nnz,)
  const float* weights;         // (nnz,)
  std::int64_t m;
};

FPD_HD void subgraph_edge(const SubgraphArgs& args, std::int64_t row, std::int64_t edge) {
  const std::int32_t column = args.places[args.indices[edge]];
  if (column >= 0) args.out[row * args.m + column] = args.weights[edge];
}

namespace cpu {
void subgraph(const SubgraphArgs& args, int threads);
}
namespace cuda {
void subgraph(const SubgraphArgs& args, void* stream);
}

}  // namespace fpd
