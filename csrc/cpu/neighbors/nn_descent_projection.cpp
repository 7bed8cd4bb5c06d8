#include <algorithm>
#include <vector>

#include "cpu/support/gemm.h"
#include "cpu/support/parallel.h"
#include "ops/neighbors/nn_descent.h"

namespace fpd::cpu {

void project_rows(const ProjectArgs& args, int threads) {
  parallel_for(args.n, kPanelRows, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> rows(args.dim * kPanelRows, 0.0f), sums(args.stride * kPanelRows, 0.0f);
    float norms[kPanelRows];
    transpose(rows.data(), kPanelRows, {args.X + begin * args.dim, args.dim}, end - begin,
              args.dim);
    center(rows.data(), kPanelRows, norms, args.mean, args.scale, args.dim, rows.data());
    for (std::int64_t first = 0; first < args.dim; first += kPanelDepth) {
      const std::int64_t depth = std::min(kPanelDepth, args.dim - first);
      gemm(sums.data(), rows.data() + first * kPanelRows, args.basis + first * args.stride,
           args.stride, depth, args.stride);
    }
    transpose(args.out + begin * args.stride, args.stride, {sums.data(), kPanelRows}, args.stride,
              end - begin);
  });
}

}  // namespace fpd::cpu
