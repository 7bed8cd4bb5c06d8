#include "ops/training/mlp.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "cpu/support/gemm.h"
#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"
#include "cpu/support/subnormals.h"
#include "math/support/elementary.h"

namespace fpd::cpu {
namespace {

static_assert(kMlpBlock == kPanelRows);

using Panel = float[kPanelDepth * kPanelRows];
using Sums = float[kPanelColumns * kPanelRows];

constexpr std::int64_t parts(std::int64_t size, std::int64_t part) {
  return (size + part - 1) / part;
}

// Calls body(begin, size) for the parts of [0, size) of at most `part`.
template <typename Body>
void for_parts(std::int64_t size, std::int64_t part, const Body& body) {
  for (std::int64_t begin = 0; begin < size; begin += part) {
    body(begin, std::min(part, size - begin));
  }
}

// What a layer reads: the table's rows, or the values of the layer before.
Rows input_of(const MlpArgs& args, std::size_t l) {
  const MlpLayer& layer = args.mlp.layers[l];
  if (l == 0) return {args.batch.table, layer.in, args.batch.ids};
  return {args.mlp.layers[l - 1].values, layer.in};
}

// (panel - mean) / scale, of columns from `first` on.
FPD_INLINE void standardize_columns(float* panel, const Standardization& input, std::int64_t first,
                                    std::int64_t count) {
  const float factor = 1.0f / input.scale;
  for (std::int64_t c = 0; c < count; ++c) {
    float* values = panel + c * kPanelRows;
    const float mean = input.mean[first + c];
    for (std::int64_t r = 0; r < kPanelRows; ++r) values[r] = (values[r] - mean) * factor;
  }
}

// The panel whose columns are rows of a layer's input, `size` values from `first` on.
FPD_INLINE void fill_panel(float* panel, const MlpArgs& args, std::size_t l, std::int64_t row,
                           std::int64_t depth, std::int64_t first, std::int64_t size) {
  const Rows from = input_of(args, l).from(row, first);
  const float* mean = args.mlp.input.mean;
  const float factor = 1.0f / args.mlp.input.scale;
  for (std::int64_t d = 0; d < depth; ++d) {
    const float* values = from[d];
    float* to = panel + d * kPanelRows;
    if (l == 0) {
#pragma GCC ivdep
      for (std::int64_t c = 0; c < size; ++c) to[c] = (values[c] - mean[first + c]) * factor;
    } else {
#pragma GCC ivdep
      for (std::int64_t c = 0; c < size; ++c) to[c] = values[c];
    }
  }
}

template <typename Function>
FPD_INLINE void activate_by(float* values, float* slopes, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) {
    const ActivationTerm term = Function{}(values[i]);
    values[i] = term.value;
    slopes[i] = term.slope;
  }
}

FPD_INLINE void activate(Activation activation, float* values, float* slopes, std::int64_t count) {
  switch (activation) {
    case Activation::softplus: return activate_by<Softplus>(values, slopes, count);
    case Activation::silu: return activate_by<Silu>(values, slopes, count);
    case Activation::relu: return activate_by<Relu>(values, slopes, count);
  }
}

FPD_INLINE void softmax_row(float* values, std::int64_t count) {
  float most[kLanes], sums[kLanes] = {}, doubts[kLanes] = {};
  std::fill_n(most, kLanes, values[0]);
  for_lanes(count, [&](std::int64_t lane, std::int64_t i) {
    most[lane] = max_of(most[lane], values[i]);
    doubts[lane] += values[i] - values[i];  // the exponential below loses what is not a number
  });
  const float largest = *std::max_element(most, most + kLanes);
  for_lanes(count, [&](std::int64_t lane, std::int64_t i) {
    values[i] = exp_fast(values[i] - largest);
    sums[lane] += values[i];
  });
  const float factor = 1.0f / lane_sum(sums) + lane_sum(doubts);
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) values[i] *= factor;
}

// Turns the gradient in a row of softmax, already times its values, into that in the sums.
FPD_INLINE void softmax_slopes(float* slopes, const float* values, std::int64_t count) {
  float sums[kLanes] = {};
  for_lanes(count, [&](std::int64_t lane, std::int64_t i) { sums[lane] += slopes[i]; });
  const float sum = lane_sum(sums);
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) slopes[i] -= values[i] * sum;
}

FPD_INLINE void restore_units(float* values, const Standardization& output, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) values[i] = values[i] * output.scale + output.mean[i];
}

// What follows the sums of a layer, which are in its values.
void finish(const MlpArgs& args, std::size_t l, std::int64_t begin, std::int64_t end) {
  const MlpLayer& layer = args.mlp.layers[l];
  float* values = layer.values + begin * layer.out;
  float* slopes = layer.slopes + begin * layer.out;
  const std::int64_t count = (end - begin) * layer.out;
  if (l + 1 < args.mlp.layers.size() && args.mlp.softmax) {
    for (std::int64_t row = 0; row < end - begin; ++row) {
      at_simd_level<softmax_row>(values + row * layer.out, layer.out);
    }
    std::copy_n(values, count, slopes);
    return;
  }
  if (l + 1 < args.mlp.layers.size())
    return at_simd_level<activate>(args.mlp.activation, values, slopes, count);
  for (std::int64_t row = 0; row < end - begin; ++row) {
    at_simd_level<restore_units>(values + row * layer.out, args.mlp.output, layer.out);
  }
  std::fill_n(slopes, count, args.mlp.output.scale);
}

void forward_block(const MlpArgs& args, std::int64_t begin, std::int64_t end) {
  alignas(64) Panel panel = {};
  alignas(64) Sums sums;
  for (std::size_t l = 0; l < args.mlp.layers.size(); ++l) {
    const MlpLayer& layer = args.mlp.layers[l];
    const Rows input = input_of(args, l);
    for_parts(layer.out, kPanelColumns, [&](std::int64_t column, std::int64_t columns) {
      for (std::int64_t c = 0; c < columns; ++c) {
        std::fill_n(sums + c * kPanelRows, kPanelRows, layer.bias[column + c]);
      }
      for_parts(layer.in, kPanelDepth, [&](std::int64_t first, std::int64_t depth) {
        transpose(panel, kPanelRows, input.from(begin, first), end - begin, depth);
        if (l == 0) at_simd_level<standardize_columns>(panel, args.mlp.input, first, depth);
        const float* weights = layer.transposed + column * layer.in + first * columns;
        gemm(sums, panel, weights, columns, depth, columns);
      });
      transpose(layer.values + begin * layer.out + column, layer.out, {sums, kPanelRows}, columns,
                end - begin);
    });
    finish(args, l, begin, end);
  }
}

FPD_INLINE void multiply(float* product, const float* factor, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) product[i] *= factor[i];
}

FPD_INLINE void scale_to(float* to, const float* from, float factor, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) to[i] = factor * from[i];
}

std::int64_t widest_input(const Mlp& mlp) {
  std::int64_t widest = 0;
  for (const MlpLayer& layer : mlp.layers) widest = std::max(widest, layer.in);
  return widest;
}

// Gradients in the sums of all layers, from the last to the first.
void backward_block(const MlpArgs& args, const float* out_grad, std::int64_t begin,
                    std::int64_t end) {
  alignas(64) Panel panel = {};
  alignas(64) Sums sums;
  alignas(64) Sums rows;
  const MlpLayer& last = args.mlp.layers.back();
  at_simd_level<multiply>(last.slopes + begin * last.out, out_grad + begin * last.out,
                          (end - begin) * last.out);
  for (std::size_t l = args.mlp.layers.size() - 1; l > 0; --l) {
    const MlpLayer& layer = args.mlp.layers[l];
    float* slopes = args.mlp.layers[l - 1].slopes;
    for_parts(layer.in, kPanelColumns, [&](std::int64_t column, std::int64_t columns) {
      std::fill_n(sums, columns * kPanelRows, 0.0f);
      for_parts(layer.out, kPanelDepth, [&](std::int64_t first, std::int64_t depth) {
        const Rows gradient{layer.slopes, layer.out};
        transpose(panel, kPanelRows, gradient.from(begin, first), end - begin, depth);
        gemm(sums, panel, layer.weight + first * layer.in + column, layer.in, depth, columns);
      });
      transpose(rows, columns, {sums, kPanelRows}, columns, end - begin);
      for (std::int64_t row = begin; row < end; ++row) {
        at_simd_level<multiply>(slopes + row * layer.in + column, rows + (row - begin) * columns,
                                columns);
      }
    });
    if (!args.mlp.softmax) continue;
    for (std::int64_t row = begin; row < end; ++row) {
      const float* values = args.mlp.layers[l - 1].values + row * layer.in;
      at_simd_level<softmax_slopes>(slopes + row * layer.in, values, layer.in);
    }
  }
}

// to[r][c] = sum over d of from[r][d] weight[d][c], of a block's rows of a layer.
void through_weights(float* to, const float* from, const MlpLayer& layer, std::int64_t rows) {
  alignas(64) Panel panel = {};
  alignas(64) Sums sums;
  for_parts(layer.in, kPanelColumns, [&](std::int64_t column, std::int64_t columns) {
    std::fill_n(sums, columns * kPanelRows, 0.0f);
    for_parts(layer.out, kPanelDepth, [&](std::int64_t first, std::int64_t depth) {
      transpose(panel, kPanelRows, Rows{from, layer.out}.from(0, first), rows, depth);
      gemm(sums, panel, layer.weight + first * layer.in + column, layer.in, depth, columns);
    });
    transpose(to + column, layer.in, {sums, kPanelRows}, columns, rows);
  });
}

// Chain rule from the outputs to the inputs, of which there are more: a row of the last weight
// times slopes and weights in turn. `scratch` has two blocks of the widest layer's input.
void jacobian_block(const MlpArgs& args, float* jacobian, float* scratch, std::int64_t begin,
                    std::int64_t end) {
  const auto& layers = args.mlp.layers;
  const MlpLayer& last = layers.back();
  const std::int64_t rows = end - begin, in = layers.front().in;
  const float factor = args.mlp.output.scale / args.mlp.input.scale;
  for (std::int64_t o = 0; o < last.out; ++o) {
    float* from = scratch;
    float* to = scratch + kPanelRows * widest_input(args.mlp);
    for (std::int64_t r = 0; r < rows; ++r) {
      std::copy_n(last.weight + o * last.in, last.in, from + r * last.in);
    }
    for (std::size_t l = layers.size() - 1; l > 0; --l) {
      const MlpLayer& before = layers[l - 1];
      at_simd_level<multiply>(from, before.slopes + begin * before.out, rows * before.out);
      for (std::int64_t r = 0; args.mlp.softmax && r < rows; ++r) {
        const float* values = before.values + (begin + r) * before.out;
        at_simd_level<softmax_slopes>(from + r * before.out, values, before.out);
      }
      through_weights(to, from, before, rows);
      std::swap(from, to);
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      float* own = jacobian + ((begin + r) * last.out + o) * in;
      at_simd_level<scale_to>(own, from + r * in, factor, in);
    }
  }
}

// Gradients of the weights of kPanelRows inputs of a layer.
void weight_gradients(const MlpArgs& args, std::size_t l, std::int64_t input, std::int64_t inputs) {
  alignas(64) Panel panel = {};
  alignas(64) Sums sums;
  const MlpLayer& layer = args.mlp.layers[l];
  for_parts(layer.out, kPanelColumns, [&](std::int64_t column, std::int64_t columns) {
    std::fill_n(sums, columns * kPanelRows, 0.0f);
    for_parts(args.batch.rows, kPanelDepth, [&](std::int64_t row, std::int64_t depth) {
      at_simd_level<fill_panel>(panel, args, l, row, depth, input, inputs);
      gemm(sums, panel, layer.slopes + row * layer.out + column, layer.out, depth, columns);
    });
    for (std::int64_t c = 0; c < columns; ++c) {
      std::copy_n(sums + c * kPanelRows, inputs,
                  layer.weight_grad + (column + c) * layer.in + input);
    }
  });
}

FPD_INLINE void bias_gradients(const MlpLayer& layer, std::int64_t rows) {
  std::fill_n(layer.bias_grad, layer.out, 0.0f);
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* gradient = layer.slopes + row * layer.out;
#pragma GCC ivdep
    for (std::int64_t c = 0; c < layer.out; ++c) layer.bias_grad[c] += gradient[c];
  }
}

}  // namespace

void mlp_forward(const MlpArgs& args, int threads) {
  for (const MlpLayer& layer : args.mlp.layers) {
    for_parts(layer.out, kPanelColumns, [&](std::int64_t column, std::int64_t columns) {
      const Rows from{layer.weight + column * layer.in, layer.in};
      transpose(layer.transposed + column * layer.in, columns, from, columns, layer.in);
    });
  }
  parallel_for(args.batch.rows, kPanelRows, threads, [&](std::int64_t begin, std::int64_t end) {
    const FlushedSubnormals flushed;
    forward_block(args, begin, end);
  });
}

void mlp_backward(const MlpArgs& args, const float* out_grad, int threads) {
  parallel_for(args.batch.rows, kPanelRows, threads, [&](std::int64_t begin, std::int64_t end) {
    const FlushedSubnormals flushed;
    backward_block(args, out_grad, begin, end);
  });
  std::int64_t groups = 0;
  for (const MlpLayer& layer : args.mlp.layers) groups += parts(layer.in, kPanelRows);
  parallel_for(groups, 1, threads, [&](std::int64_t group, std::int64_t) {
    const FlushedSubnormals flushed;
    std::size_t l = 0;
    for (; group >= parts(args.mlp.layers[l].in, kPanelRows); ++l) {
      group -= parts(args.mlp.layers[l].in, kPanelRows);
    }
    const std::int64_t input = group * kPanelRows;
    weight_gradients(args, l, input, std::min(kPanelRows, args.mlp.layers[l].in - input));
    if (group == 0) at_simd_level<bias_gradients>(args.mlp.layers[l], args.batch.rows);
  });
}

void mlp_jacobian(const MlpArgs& args, float* jacobian, int threads) {
  const std::int64_t size = 2 * kPanelRows * widest_input(args.mlp);
  parallel_for(args.batch.rows, kPanelRows, threads, [&](std::int64_t begin, std::int64_t end) {
    const FlushedSubnormals flushed;
    std::vector<float> scratch(static_cast<std::size_t>(size));
    jacobian_block(args, jacobian, scratch.data(), begin, end);
  });
}

}  // namespace fpd::cpu
