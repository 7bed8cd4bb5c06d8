// Small dense algebra on the rows of each of several segments: products of tall blocks of columns
// with one another, and with one small matrix a segment. Sums have one order on any number of
// threads. Segments are consecutive rows, [starts[s], starts[s + 1]).
#pragma once

#include <cstdint>

#include "math/support/host_device.h"

namespace fpd {

struct SegmentGramArgs {
  double* out;                 // (segments, p, q) out: the sums of x_r y_r^T over a segment's rows
  double* partials;            // (pieces, p, q) scratch
  const double* x;             // (n, p)
  const double* y;             // (n, q)
  const std::int64_t* starts;  // (pieces + 1,) the pieces that segments are cut into, in order
  const std::int64_t* pieces;  // (segments + 1,) the first piece of each segment
  std::int64_t piece_count;
  std::int64_t segments;
  std::int64_t p;
  std::int64_t q;
};

// One entry of a piece's sum.
FPD_HD double gram_entry(const SegmentGramArgs& args, std::int64_t piece, std::int64_t i,
                         std::int64_t j) {
  double sum = 0.0;
  for (std::int64_t row = args.starts[piece]; row < args.starts[piece + 1]; ++row) {
    sum += args.x[row * args.p + i] * args.y[row * args.q + j];
  }
  return sum;
}

// One entry of a segment, from its pieces.
FPD_HD void add_pieces(const SegmentGramArgs& args, std::int64_t segment, std::int64_t entry) {
  const std::int64_t entries = args.p * args.q;
  double sum = 0.0;
  for (std::int64_t piece = args.pieces[segment]; piece < args.pieces[segment + 1]; ++piece) {
    sum += args.partials[piece * entries + entry];
  }
  args.out[segment * entries + entry] = sum;
}

struct SegmentMatmulArgs {
  double* out;                     // (n, q) out: x_r times its segment's matrix
  const double* x;                 // (n, p)
  const double* matrices;          // (segments, p, q)
  const std::int32_t* segment_of;  // (n,)
  std::int64_t n;
  std::int64_t p;
  std::int64_t q;
};

FPD_HD void segment_matmul_entry(const SegmentMatmulArgs& args, std::int64_t row, std::int64_t j) {
  const double* matrix = args.matrices + args.segment_of[row] * args.p * args.q;
  double sum = 0.0;
  for (std::int64_t i = 0; i < args.p; ++i) {
    sum += args.x[row * args.p + i] * matrix[i * args.q + j];
  }
  args.out[row * args.q + j] = sum;
}

namespace cpu {
void segment_gram(const SegmentGramArgs& args, int threads);
void segment_matmul(const SegmentMatmulArgs& args, int threads);
}  // namespace cpu
namespace cuda {
void segment_gram(const SegmentGramArgs& args, void* stream);
void segment_matmul(const SegmentMatmulArgs& args, void* stream);
}  // namespace cuda

}  // namespace fpd
