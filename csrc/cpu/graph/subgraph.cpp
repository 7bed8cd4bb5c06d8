#include "ops/graph/subgraph.h"

#include "cpu/support/parallel.h"

namespace fpd::cpu {

void subgraph(const SubgraphArgs& args, int threads) {
  constexpr std::int64_t rows_per_piece = 256;
  parallel_for(args.m, rows_per_piece, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t point = args.points[row];
      for (std::int64_t e = args.indptr[point]; e < args.indptr[point + 1]; ++e) {
        subgraph_edge(args, row, e);
      }
    }
  });
}

}  // namespace fpd::cpu
