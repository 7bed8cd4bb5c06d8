#include "ops/graph/segments.h"

#include <algorithm>

#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 8192;

// All entries of a piece in one pass over its rows, in gram_entry's order of rows.
FPD_INLINE void gram_piece(const SegmentGramArgs& args, std::int64_t piece) {
  double* sums = args.partials + piece * args.p * args.q;
  std::fill(sums, sums + args.p * args.q, 0.0);
  for (std::int64_t row = args.starts[piece]; row < args.starts[piece + 1]; ++row) {
    const double* y = args.y + row * args.q;
    for (std::int64_t i = 0; i < args.p; ++i) {
      const double x = args.x[row * args.p + i];
      double* to = sums + i * args.q;
      for (std::int64_t j = 0; j < args.q; ++j) to[j] += x * y[j];
    }
  }
}

FPD_INLINE void matmul_piece(const SegmentMatmulArgs& args, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    for (std::int64_t j = 0; j < args.q; ++j) segment_matmul_entry(args, row, j);
  }
}

}  // namespace

void segment_gram(const SegmentGramArgs& args, int threads) {
  parallel_for(args.piece_count, 1, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) at_simd_level<gram_piece>(args, piece);
  });
  for (std::int64_t segment = 0; segment < args.segments; ++segment) {
    for (std::int64_t entry = 0; entry < args.p * args.q; ++entry) {
      add_pieces(args, segment, entry);
    }
  }
}

void segment_matmul(const SegmentMatmulArgs& args, int threads) {
  parallel_for(args.n, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    at_simd_level<matmul_piece>(args, begin, end);
  });
}

}  // namespace fpd::cpu
