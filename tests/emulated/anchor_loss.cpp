// The kernels of anchor_loss on the host, behind a function for ctypes.
#include "anchor_loss.cu.cpp"

extern "C" const char* anchor_loss(float* loss, float* gradient, double* row_losses,
                                   const float* scores, const float* positions,
                                   const float* anchors, const float* reaches, std::int64_t rows,
                                   std::int64_t count, std::int64_t dim) {
  return emulated::failure_of([=] {
    fpd::cuda::anchor_loss(
        {loss, gradient, row_losses, scores, positions, anchors, reaches, rows, count, dim},
        nullptr);
  });
}
