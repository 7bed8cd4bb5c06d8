// The kernels of symmetrize on the host, behind functions for ctypes.
#include "symmetrize.cu.cpp"

extern "C" std::size_t symmetrize_scratch(std::int64_t n, std::int64_t nnz) {
  return fpd::cuda::symmetrize_scratch(n, nnz);
}

extern "C" const char* symmetrize_plan(std::int64_t* indptr, void* scratch,
                                       const std::int64_t* starts, const std::int32_t* indices,
                                       const float* weights, std::int64_t n, std::int64_t longest,
                                       int operation, float mix_ratio) {
  return emulated::failure_of([=] {
    fpd::cuda::symmetrize_plan({indptr,
                                nullptr,
                                nullptr,
                                nullptr,
                                scratch,
                                {starts, indices, weights},
                                n,
                                starts[n],
                                longest,
                                {static_cast<fpd::SetOperation>(operation), mix_ratio}},
                               nullptr);
  });
}

extern "C" const char* symmetrize_fill(std::int64_t* indptr, std::int32_t* heads,
                                       std::int32_t* tails, float* weights, void* scratch,
                                       const std::int64_t* starts, std::int64_t n, int operation,
                                       float mix_ratio) {
  return emulated::failure_of([=] {
    fpd::cuda::symmetrize_fill({indptr,
                                heads,
                                tails,
                                weights,
                                scratch,
                                {starts, nullptr, nullptr},
                                n,
                                starts[n],
                                0,
                                {static_cast<fpd::SetOperation>(operation), mix_ratio}},
                               nullptr);
  });
}
