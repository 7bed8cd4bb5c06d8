#include "../ops/graph_matmul.h"

#include "parallel.h"

namespace fpd::cpu {

void graph_matmul(const GraphMatmulArgs& args, int threads) {
  constexpr std::int64_t rows_per_piece = 8192;
  parallel_for(args.n, rows_per_piece, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t c = 0; c < args.columns; ++c) graph_matmul_entry(args, row, c);
    }
  });
}

}  // namespace fpd::cpu
