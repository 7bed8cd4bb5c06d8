// Matrices as the copy engine of sm_90 sees them.
#pragma once

#include <cuda.h>
#include <cudaTypedefs.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "cuda/support/check.h"

namespace fpd::cuda {

// The driver is asked for the function: the core is linked to the runtime alone.
inline PFN_cuTensorMapEncodeTiled_v12000 tensor_map_encoder() {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result = {};
  FPD_CUDA_CHECK(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000,
                                                  cudaEnableDefault, &result));
  if (result != cudaDriverEntryPointSuccess || found == nullptr) {
    throw std::runtime_error("the NVIDIA driver has no cuTensorMapEncodeTiled: update it");
  }
  return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(found);
}

// Of halves (rows, columns), taken in boxes of some rows and 64 columns, swizzled by 128 bytes. Its
// start and the bytes of a row are multiples of 16.
inline CUtensorMap half_matrix_map(const std::uint16_t* matrix, std::int64_t rows,
                                   std::int64_t columns, unsigned box_rows, unsigned box_columns) {
  CUtensorMap map;
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[] = {2 * static_cast<cuuint64_t>(columns)};
  const cuuint32_t box[] = {box_columns, box_rows}, every[] = {1, 1};
  const CUresult status = tensor_map_encoder()(
      &map, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2, const_cast<std::uint16_t*>(matrix), sizes, strides,
      box, every, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) {
    throw std::runtime_error("cuTensorMapEncodeTiled failed with CUDA error " +
                             std::to_string(static_cast<int>(status)));
  }
  return map;
}

}  // namespace fpd::cuda
