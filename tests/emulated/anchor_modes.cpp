// The kernel of anchor_modes on the host, behind a function for ctypes.
#include "anchor_modes.cu.cpp"

extern "C" const char* anchor_modes(float* modes, float* moves, const float* scores,
                                    const float* anchors, const float* windows, std::int64_t rows,
                                    std::int64_t count, std::int64_t dim) {
  return emulated::failure_of([=] {
    fpd::cuda::anchor_modes({modes, moves, scores, anchors, windows, rows, count, dim}, nullptr);
  });
}
