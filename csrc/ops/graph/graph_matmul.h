// Product of a sparse graph with a few dense columns, row-scaled on both sides:
// S G S x with S the diagonal of `scale`, the operator of the normalised Laplacian; or one step of
// a three-term recurrence in it, as of Chebyshev polynomials: gain (S G S x) + shift x - previous.
#pragma once

#include <cstdint>

#include "math/support/host_device.h"

namespace fpd {

struct GraphMatmulArgs {
  double* out;                  // (n, columns) out; may be `previous`
  const double* x;              // (n, columns)
  const double* scale;          // (n,)
  const double* gain;           // (n,), or null for the product alone
  const double* shift;          // (n,) with gain
  const double* previous;       // (n, columns) with gain
  const std::int64_t* indptr;   // (n + 1,)
  const std::int32_t* indices;  // (nnz,)
  const float* weights;         // (nnz,)
  std::int64_t n;
  std::int64_t columns;
};

// `count` columns of a row from `first` on, so that an edge is read once for all of them.
template <int count>
FPD_HD void graph_matmul_row(const GraphMatmulArgs& args, std::int64_t row, std::int64_t first) {
  double sums[count] = {};
  for (std::int64_t e = args.indptr[row]; e < args.indptr[row + 1]; ++e) {
    const std::int64_t tail = args.indices[e];
    const double weight = args.weights[e] * args.scale[tail];
    const double* x = args.x + tail * args.columns + first;
    for (int c = 0; c < count; ++c) sums[c] += weight * x[c];
  }
  const std::int64_t at = row * args.columns + first;
  for (int c = 0; c < count; ++c) {
    const double product = args.scale[row] * sums[c];
    args.out[at + c] =
        args.gain == nullptr
            ? product
            : args.gain[row] * product + args.shift[row] * args.x[at + c] - args.previous[at + c];
  }
}

namespace cpu {
void graph_matmul(const GraphMatmulArgs& args, int threads);
}
namespace cuda {
void graph_matmul(const GraphMatmulArgs& args, void* stream);
}

}  // namespace fpd
