#include "ops/training/edge_loss.h"

#include <algorithm>

#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kPartialsPerPiece = 16;

FPD_INLINE void loss_of_partials(const EdgeLossArgs& args, std::int64_t begin, std::int64_t end) {
  for (std::int64_t partial = begin; partial < end; ++partial) {
    const std::int64_t first = partial * kHeadsPerPartial;
    const std::int64_t last = std::min(args.batch, first + kHeadsPerPartial);
    double loss = 0.0;
    for (std::int64_t head = first; head < last; ++head) loss += edge_loss_head(args, head);
    args.partials[partial] = loss;
  }
}

}  // namespace

void edge_loss(const EdgeLossArgs& args, int threads) {
  const std::int64_t partials = (args.batch + kHeadsPerPartial - 1) / kHeadsPerPartial;
  parallel_for(partials, kPartialsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    at_simd_level<loss_of_partials>(args, begin, end);
  });
  double loss = 0.0;
  for (std::int64_t partial = 0; partial < partials; ++partial) loss += args.partials[partial];
  *args.loss = mean_loss(args, loss);
}

}  // namespace fpd::cpu
