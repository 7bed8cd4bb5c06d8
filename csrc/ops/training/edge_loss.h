// Mean cross-entropy over the edges of a negative-sampled batch, with the gradients of both ends
// in the same pass. A tail has one writer and a head is a sum over its own slots: no locks.
#pragma once

#include <cstdint>

#include "math/training/edge_loss.h"

namespace fpd {

// Heads a partial sum of the loss covers: fixed, so that the sum does not depend on the threads.
constexpr std::int64_t kHeadsPerPartial = 64;

struct EdgeLossArgs {
  float* loss;         // (1,) out
  float* head_grad;    // (batch, dim) out
  float* tail_grad;    // (batch, slots, dim) out
  double* partials;    // (ceil(batch / kHeadsPerPartial),) scratch
  const float* heads;  // (batch, dim)
  const float* tails;  // (batch, slots, dim), slot 0 is the positive edge
  std::int64_t batch;
  std::int64_t slots;
  std::int64_t dim;
  CrossEntropy cross_entropy;
};

// Loss and gradients of one head with all its slots; returns the summed loss.
FPD_HD double edge_loss_head(const EdgeLossArgs& args, std::int64_t head_index) {
  const float* head = args.heads + head_index * args.dim;
  float* head_grad = args.head_grad + head_index * args.dim;
  const float mean = 1.0f / (static_cast<float>(args.batch) * static_cast<float>(args.slots));
  for (std::int64_t c = 0; c < args.dim; ++c) head_grad[c] = 0.0f;
  double loss = 0.0;
  for (std::int64_t slot = 0; slot < args.slots; ++slot) {
    const std::int64_t offset = (head_index * args.slots + slot) * args.dim;
    const float* tail = args.tails + offset;
    float d2 = 0.0f;
    for (std::int64_t c = 0; c < args.dim; ++c) {
      const float difference = head[c] - tail[c];
      d2 += difference * difference;
    }
    const EdgeTerm term = args.cross_entropy(d2, slot == 0);
    loss += term.loss;
    const float pull = 2.0f * mean * term.slope;
    for (std::int64_t c = 0; c < args.dim; ++c) {
      const float gradient = pull * (head[c] - tail[c]);
      head_grad[c] += gradient;
      args.tail_grad[offset + c] = -gradient;
    }
  }
  return loss;
}

FPD_HD float mean_loss(const EdgeLossArgs& args, double summed_loss) {
  const double edges = static_cast<double>(args.batch) * static_cast<double>(args.slots);
  return args.batch == 0 ? 0.0f : static_cast<float>(summed_loss / edges);
}

namespace cpu {
void edge_loss(const EdgeLossArgs& args, int threads);
}
namespace cuda {
void edge_loss(const EdgeLossArgs& args, void* stream);
}

}  // namespace fpd
