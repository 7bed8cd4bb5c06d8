// Product of a sparse graph with a few dense columns, row-scaled on both sides:
// out = S G S x with S the diagonal of `scale`, the operator of the normalised Laplacian.
#pragma once

#include <cstdint>

#include "../math/host_device.h"

namespace fpd {

struct GraphMatmulArgs {
  double* out;                  // (n, columns) out
  const double* x;              // (n, columns)
  const double* scale;          // (n,)
  const std::int64_t* indptr;   // (n + 1,)
  const std::int32_t* indices;  // (nnz,)
  const float* weights;         // (nnz,)
  std::int64_t n;
  std::int64_t columns;
};

FPD_HD void graph_matmul_entry(const GraphMatmulArgs& args, std::int64_t row, std::int64_t column) {
  double sum = 0.0;
  for (std::int64_t e = args.indptr[row]; e < args.indptr[row + 1]; ++e) {
    const std::int64_t tail = args.indices[e];
    sum += args.weights[e] * args.scale[tail] * args.x[tail * args.columns + column];
  }
  args.out[row * args.columns + column] = args.scale[row] * sum;
}

namespace cpu {
void graph_matmul(const GraphMatmulArgs& args, int threads);
}
namespace cuda {
void graph_matmul(const GraphMatmulArgs& args, void* stream);
}

}  // namespace fpd
