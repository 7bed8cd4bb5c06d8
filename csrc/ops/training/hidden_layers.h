// The layers behind a network's first, forward and backward, for training steps on a device: a tile
// of rows goes through all of them. The last layer's products are float32; those of the layers
// before it round their factors to tf32. Sums of gradients over rows have a fixed order.
#pragma once

#include <algorithm>
#include <cstdint>

#include "math/support/tf32.h"
#include "math/training/activation.h"

namespace fpd {

constexpr int kMaxHiddenLayers = 8;
constexpr int kMaxHiddenWidth = 128;
constexpr std::int64_t kHiddenTile = 32;
// Sums of the weights' gradients over every so many-th tile, added up at the end.
constexpr std::int64_t kMaxHiddenSlots = 128;

struct DenseLayer {
  const float* weight;  // (out, in)
  const float* bias;    // (out,)
  int in;
  int out;
};

struct HiddenLayers {
  DenseLayer layers[kMaxHiddenLayers];  // the activation is in front of each
  int count;
  int widest;
  Activation activation;
};

struct HiddenForwardArgs {
  float* out;          // (rows, out of the last layer)
  float* sums;         // (rows, out) of each layer but the last, one after the other; may be null
  const float* input;  // (rows, in of the first layer) the sums that the first activation takes
  std::int64_t rows;
  HiddenLayers network;
};

struct HiddenBackwardArgs {
  float* input_grad;      // (rows, in of the first layer) out
  float* gradients;       // (hidden_gradient_size,) out: weight, bias, weight, ...
  float* partials;        // (hidden_partials_size,) scratch
  const float* out_grad;  // (rows, out of the last layer)
  const float* input;     // as for forward
  const float* sums;      // out of forward
  std::int64_t rows;
  HiddenLayers network;
};

FPD_HD std::int64_t hidden_tiles(std::int64_t rows) {
  return (rows + kHiddenTile - 1) / kHiddenTile;
}

inline std::int64_t hidden_slots(std::int64_t rows) {
  return std::min(hidden_tiles(rows), kMaxHiddenSlots);
}

// Widths in memory that matrices of tensor cores are cut from.
FPD_HD constexpr int padded_width(int width) { return (width + 15) / 16 * 16; }

FPD_HD std::int64_t padded_size(const DenseLayer& layer) {
  return static_cast<std::int64_t>(padded_width(layer.out)) * (padded_width(layer.in) + 1);
}

// Floats in front of a layer's gradients in one slot of the partial sums; for l = count, of a slot.
FPD_HD std::int64_t partials_before(const HiddenLayers& network, int l) {
  std::int64_t size = 0;
  for (int i = 0; i < l; ++i) size += padded_size(network.layers[i]);
  return size;
}

FPD_HD std::int64_t gradients_before(const HiddenLayers& network, int l) {
  std::int64_t size = 0;
  for (int i = 0; i < l; ++i) {
    size += static_cast<std::int64_t>(network.layers[i].out) * (network.layers[i].in + 1);
  }
  return size;
}

inline std::int64_t hidden_partials_size(const HiddenLayers& network, std::int64_t rows) {
  return hidden_slots(rows) * partials_before(network, network.count);
}

// Where a layer's sums of all rows begin; they are the input of the next.
FPD_HD std::int64_t sums_before(const HiddenLayers& network, int l, std::int64_t rows) {
  std::int64_t width = 0;
  for (int i = 0; i < l; ++i) width += network.layers[i].out;
  return width * rows;
}

// What the activation in front of a layer takes.
template <typename Args>
FPD_HD const float* input_of(const Args& args, int l) {
  return l == 0 ? args.input : args.sums + sums_before(args.network, l - 1, args.rows);
}

namespace cpu {
bool hidden_layers_fit(int widest);
void hidden_forward(const HiddenForwardArgs& args, int threads);
void hidden_backward(const HiddenBackwardArgs& args, int threads);
}  // namespace cpu
namespace cuda {
// Whether the layers fit into what a block may have of the current device's shared memory.
bool hidden_layers_fit(int widest);
void hidden_forward(const HiddenForwardArgs& args, void* stream);
void hidden_backward(const HiddenBackwardArgs& args, void* stream);
}  // namespace cuda

}  // namespace fpd
