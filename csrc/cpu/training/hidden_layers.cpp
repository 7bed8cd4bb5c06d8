#include "ops/training/hidden_layers.h"

#include "cpu/support/parallel.h"
#include "cpu/support/subnormals.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kTilesPerPiece = 4;

using Row = float[kMaxHiddenWidth];

// A layer's factors as its products take them.
float factor_of(float x, bool is_last) { return is_last ? x : to_tf32(x); }

template <typename Function>
void forward_row(const HiddenForwardArgs& args, std::int64_t row, Function activate) {
  const HiddenLayers& network = args.network;
  Row sums, factors;
  std::copy_n(args.input + row * network.layers[0].in, network.layers[0].in, sums);
  for (int l = 0; l < network.count; ++l) {
    const DenseLayer& layer = network.layers[l];
    const bool is_last = l == network.count - 1;
    for (int i = 0; i < layer.in; ++i) factors[i] = factor_of(activate(sums[i]).value, is_last);
    for (int o = 0; o < layer.out; ++o) {
      const float* weight = layer.weight + static_cast<std::int64_t>(o) * layer.in;
      float sum = 0.0f;
      for (int i = 0; i < layer.in; ++i) sum += factors[i] * factor_of(weight[i], is_last);
      sums[o] = sum + layer.bias[o];
    }
    float* to = is_last ? args.out : args.sums;
    if (to == nullptr) continue;
    if (!is_last) to += sums_before(network, l, args.rows);
    std::copy_n(sums, layer.out, to + row * layer.out);
  }
}

template <typename Function>
void backward_row(const HiddenBackwardArgs& args, std::int64_t row, float* slot,
                  Function activate) {
  const HiddenLayers& network = args.network;
  Row gradient, next, factors, slopes;
  const int out = network.layers[network.count - 1].out;
  std::copy_n(args.out_grad + row * out, out, gradient);
  for (int l = network.count - 1; l >= 0; --l) {
    const DenseLayer& layer = network.layers[l];
    const bool is_last = l == network.count - 1;
    const float* sums = input_of(args, l) + row * layer.in;
    float* weight_grad = slot + gradients_before(network, l);
    float* bias_grad = weight_grad + static_cast<std::int64_t>(layer.out) * layer.in;
    for (int i = 0; i < layer.in; ++i) {
      const ActivationTerm term = activate(sums[i]);
      factors[i] = factor_of(term.value, is_last);
      slopes[i] = term.slope;
      next[i] = 0.0f;
    }
    for (int o = 0; o < layer.out; ++o) {
      const float factor = factor_of(gradient[o], is_last);
      const std::int64_t first = static_cast<std::int64_t>(o) * layer.in;
      bias_grad[o] += gradient[o];
      for (int i = 0; i < layer.in; ++i) {
        weight_grad[first + i] += factor * factors[i];
        next[i] += factor * factor_of(layer.weight[first + i], is_last);
      }
    }
    for (int i = 0; i < layer.in; ++i) gradient[i] = next[i] * slopes[i];
  }
  std::copy_n(gradient, network.layers[0].in, args.input_grad + row * network.layers[0].in);
}

}  // namespace

bool hidden_layers_fit(int widest) { return widest <= kMaxHiddenWidth; }

void hidden_forward(const HiddenForwardArgs& args, int threads) {
  with_activation(args.network.activation, [&](auto activate) {
    parallel_for(args.rows, kTilesPerPiece * kHiddenTile, threads,
                 [&](std::int64_t begin, std::int64_t end) {
                   const FlushedSubnormals flushed;
                   for (std::int64_t row = begin; row < end; ++row) {
                     forward_row(args, row, activate);
                   }
                 });
  });
}

void hidden_backward(const HiddenBackwardArgs& args, int threads) {
  const std::int64_t slots = hidden_slots(args.rows), tiles = hidden_tiles(args.rows);
  const std::int64_t slot_size = partials_before(args.network, args.network.count);
  const std::int64_t size = gradients_before(args.network, args.network.count);
  with_activation(args.network.activation, [&](auto activate) {
    parallel_for(slots, 1, threads, [&](std::int64_t slot, std::int64_t) {
      const FlushedSubnormals flushed;
      float* sums = args.partials + slot * slot_size;
      std::fill_n(sums, size, 0.0f);
      for (std::int64_t tile = slot; tile < tiles; tile += slots) {
        const std::int64_t end = std::min(args.rows, (tile + 1) * kHiddenTile);
        for (std::int64_t row = tile * kHiddenTile; row < end; ++row) {
          backward_row(args, row, sums, activate);
        }
      }
    });
  });
  for (std::int64_t i = 0; i < size; ++i) {
    float sum = 0.0f;
    for (std::int64_t slot = 0; slot < slots; ++slot) sum += args.partials[slot * slot_size + i];
    args.gradients[i] = sum;
  }
}

}  // namespace fpd::cpu
