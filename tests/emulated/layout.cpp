// The layout's kernels on the host, behind a function for ctypes.
#include "sgd_layout.cu.cpp"

extern "C" std::size_t layout_scratch(std::int64_t n, std::int64_t edges, int parts) {
  return fpd::cuda::sgd_layout_scratch(n, edges, parts);
}

extern "C" const char* layout(float* positions, float* next, void* scratch, const float* anchors,
                              const std::int64_t* indptr, const std::int32_t* tails,
                              const float* weights, const std::uint32_t* streams, std::int64_t n,
                              std::int64_t dim, std::int64_t tail_count, int negatives, int parts,
                              std::int64_t first, std::int64_t last, std::int64_t n_epochs,
                              float learning_rate, float largest, std::uint64_t seed, float a,
                              float b, fpd::DensityPull* pulls, float* sampled_weights, float gain,
                              bool sorted, std::uint32_t window, int window_heads_log2,
                              const std::uint16_t* narrow_shares) {
  return emulated::failure_of([=] {
    fpd::cuda::sgd_layout({positions,
                           next,
                           scratch,
                           anchors,
                           indptr,
                           tails,
                           weights,
                           streams,
                           n,
                           indptr[n],
                           dim,
                           tail_count,
                           negatives,
                           parts,
                           first,
                           last,
                           n_epochs,
                           learning_rate,
                           largest,
                           seed,
                           {{a, b}, 1.0f},
                           {pulls, sampled_weights, gain},
                           sorted,
                           nullptr,
                           0,
                           {window, window_heads_log2},
                           narrow_shares},
                          nullptr);
  });
}
