#include "ops/training/adam.h"

#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"
#include "cpu/support/subnormals.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kElementsPerPiece = 1 << 14;

FPD_INLINE void adam_elements(const AdamArgs& args, std::int64_t begin, std::int64_t end) {
#pragma GCC ivdep
  for (std::int64_t i = begin; i < end; ++i) adam_element(args, i);
}

}  // namespace

void adam(const AdamArgs& args, int threads) {
  parallel_for(args.size, kElementsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    const FlushedSubnormals flushed;
    at_simd_level<adam_elements>(args, begin, end);
  });
}

}  // namespace fpd::cpu
