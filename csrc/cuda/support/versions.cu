#include "cuda/support/check.h"
#include "ops/support/cuda_versions.h"

namespace fpd::cuda {

CudaVersions versions() {
  CudaVersions found;
  FPD_CUDA_CHECK(cudaDriverGetVersion(&found.driver));
  FPD_CUDA_CHECK(cudaRuntimeGetVersion(&found.runtime));
  return found;
}

}  // namespace fpd::cuda
