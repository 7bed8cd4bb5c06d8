// A fully connected network on some rows of a table, forward and backward. A row goes through all
// layers with the block of rows it is in; a weight's gradient has one writer, which takes the rows
// in order, so results do not depend on the threads.
#pragma once

#include <cstdint>
#include <vector>

#include "math/training/activation.h"

namespace fpd {

// Buffers have room for a number of rows that is a multiple of this.
constexpr std::int64_t kMlpBlock = 32;

struct MlpLayer {
  const float* weight;  // (out, in)
  const float* bias;    // (out,)
  float* transposed;    // (in, out) scratch, some columns after the other
  float* values;        // (rows, out) out of forward, what the layer gives
  float* slopes;        // (rows, out) out of forward; backward makes them the gradient of the sums
  float* weight_grad;   // (out, in) out of backward
  float* bias_grad;     // (out,) out of backward
  std::int64_t in;
  std::int64_t out;
};

// Columns x become (x - mean) / scale.
struct Standardization {
  const float* mean;  // one of each column
  float scale;
};

struct Mlp {
  Standardization input;
  Standardization output;  // undone behind the last layer
  Activation activation;   // between layers, of each value
  bool softmax;            // of each row there instead
  std::vector<MlpLayer> layers;
};

struct MlpBatch {
  const float* table;       // (n, in)
  const std::int32_t* ids;  // (rows,) rows of the table
  std::int64_t rows;
};

struct MlpArgs {
  const Mlp& mlp;
  MlpBatch batch;
};

namespace cpu {
void mlp_forward(const MlpArgs& args, int threads);
// After forward with the same rows; out_grad (rows, out) is the loss's gradient in the last values.
void mlp_backward(const MlpArgs& args, const float* out_grad, int threads);
// After forward with the same rows, whose slopes it leaves: jacobian (rows, out, in) of the last
// values in the table's columns.
void mlp_jacobian(const MlpArgs& args, float* jacobian, int threads);
}  // namespace cpu

}  // namespace fpd
