#include "ops/graph/graph_matmul.h"

#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 2048;

template <int count>
FPD_INLINE void columns_from(const GraphMatmulArgs& args, std::int64_t begin, std::int64_t end,
                             std::int64_t& first) {
  for (; first + count <= args.columns; first += count) {
    for (std::int64_t row = begin; row < end; ++row) graph_matmul_row<count>(args, row, first);
  }
}

FPD_INLINE void graph_matmul_piece(const GraphMatmulArgs& args, std::int64_t begin,
                                   std::int64_t end) {
  std::int64_t first = 0;
  columns_from<8>(args, begin, end, first);  // a cache line
  columns_from<4>(args, begin, end, first);
  columns_from<1>(args, begin, end, first);
}

}  // namespace

void graph_matmul(const GraphMatmulArgs& args, int threads) {
  parallel_for(args.n, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    at_simd_level<graph_matmul_piece>(args, begin, end);
  });
}

}  // namespace fpd::cpu
