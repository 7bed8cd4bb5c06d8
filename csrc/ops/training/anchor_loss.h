// Mean cross-entropy of the anchors that rows have scores for, beside those that their positions
// ask for, with the gradient in the same pass. A row has one writer, and rows are added in order.
#pragma once

#include <cstdint>

#include "math/training/anchor_loss.h"

namespace fpd {

struct AnchorLossArgs {
  float* loss;             // (1,) out
  float* gradient;         // (rows, anchors) out
  double* row_losses;      // (rows,) scratch
  const float* scores;     // (rows, anchors)
  const float* positions;  // (rows, dim)
  const float* anchors;    // (dim, anchors), each coordinate of all
  const float* reaches;    // (anchors,)
  std::int64_t rows;
  std::int64_t count;  // of anchors
  std::int64_t dim;
};

namespace cpu {
void anchor_loss(const AnchorLossArgs& args, int threads);
}
namespace cuda {
void anchor_loss(const AnchorLossArgs& args, void* stream);
}

}  // namespace fpd
