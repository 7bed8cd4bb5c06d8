#include <algorithm>
#include <vector>

#include "../ops/nn_descent.h"
#include "parallel.h"
#include "simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRows = 8;  // rows that share the loads of the basis
constexpr std::int64_t kRowsPerPiece = 256;

// kRows centred rows times kLanes columns of the basis.
FPD_MULTIVERSION void project_block(const float* rows, const float* basis, std::int64_t dim,
                                    std::int64_t stride, float* out) {
  for (std::int64_t column = 0; column < stride; column += kLanes) {
    FloatLanes sums[kRows] = {};
    for (std::int64_t c = 0; c < dim; ++c) {
      FloatLanes b;
      load(b, basis + c * stride + column);
      for (std::int64_t r = 0; r < kRows; ++r) sums[r] += b * rows[r * dim + c];
    }
    for (std::int64_t r = 0; r < kRows; ++r) {
      store(out + r * stride + column, sums[r]);
    }
  }
}

}  // namespace

void project_rows(const ProjectArgs& args, int threads) {
  parallel_for(args.n, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> rows(kRows * args.dim, 0.0f), out(kRows * args.stride);
    for (std::int64_t first = begin; first < end; first += kRows) {
      const std::int64_t count = std::min(kRows, end - first);
      for (std::int64_t r = 0; r < count; ++r) {
        const float* row = args.X + (first + r) * args.dim;
        for (std::int64_t c = 0; c < args.dim; ++c) {
          rows[r * args.dim + c] = row[c] * args.scale - args.mean[c];
        }
      }
      project_block(rows.data(), args.basis, args.dim, args.stride, out.data());
      std::copy_n(out.data(), count * args.stride, args.out + first * args.stride);
    }
  });
}

}  // namespace fpd::cpu
