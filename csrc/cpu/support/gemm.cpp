#include "cpu/support/gemm.h"

#include <cstring>
#include <utility>

#include "cpu/support/simd.h"

// Vectors as wide as the registers, and tiles as large as there are registers for.
namespace fpd::cpu {
#if FPD_MULTIVERSIONED
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4")
namespace avx512 {
#include "cpu/support/gemm_kernels.h"
}
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
namespace avx2 {
#include "cpu/support/gemm_kernels.h"
}
#pragma GCC pop_options
#endif
namespace baseline {
#include "cpu/support/gemm_kernels.h"
}

void transpose(float* to, std::int64_t to_stride, const Rows& from, std::int64_t rows,
               std::int64_t columns) {
#if FPD_MULTIVERSIONED
  switch (simd_level()) {
    case SimdLevel::avx512: return avx512::transpose<16>(to, to_stride, from, rows, columns);
    case SimdLevel::avx2: return avx2::transpose<8>(to, to_stride, from, rows, columns);
    case SimdLevel::baseline: break;
  }
#endif
  baseline::transpose<4>(to, to_stride, from, rows, columns);
}

void center(float* values, std::int64_t stride, float* norms, const float* mean, float scale,
            std::int64_t columns, const float* ahead) {
#if FPD_MULTIVERSIONED
  switch (simd_level()) {
    case SimdLevel::avx512:
      return avx512::center<16>(values, stride, norms, mean, scale, columns, ahead);
    case SimdLevel::avx2:
      return avx2::center<8>(values, stride, norms, mean, scale, columns, ahead);
    case SimdLevel::baseline: break;
  }
#endif
  baseline::center<4>(values, stride, norms, mean, scale, columns, ahead);
}

void gemm(float* sums, const float* panel, const float* matrix, std::int64_t stride,
          std::int64_t depth, std::int64_t columns) {
#if FPD_MULTIVERSIONED
  switch (simd_level()) {
    case SimdLevel::avx512:
      return avx512::gemm<16, 10>(sums, panel, matrix, stride, depth, columns);
    case SimdLevel::avx2: return avx2::gemm<8, 6>(sums, panel, matrix, stride, depth, columns);
    case SimdLevel::baseline: break;
  }
#endif
  baseline::gemm<4, 6>(sums, panel, matrix, stride, depth, columns);
}

}  // namespace fpd::cpu
