// A tile of a step's rows through the layers behind the first: forward, the loss of the tile's
// edges, and backward, all in a block's shared memory.
#pragma once

#include "ops/support/warp_product.h"
#include "ops/training/blocks/split_product.h"
#include "ops/training/edge_step.h"

namespace fpd {

FPD_HD int widest_between(const HiddenLayers& network) {
  int widest = 0;
  for (int l = 0; l < network.count; ++l) {
    widest = network.layers[l].in > widest ? network.layers[l].in : widest;
  }
  return widest;
}

FPD_HD int weight_floats(const DenseLayer& layer) {
  return padded_to(layer.out, kProductRows) * row_stride(layer.in);
}

FPD_HD int weights_before(const HiddenLayers& network, int l) {
  int floats = 0;
  for (int i = 0; i < l; ++i) floats += weight_floats(network.layers[i]);
  return floats;
}

// A tile's arrays in shared memory.
struct TileMemory {
  float* base;
  int rows;
  int count;       // of layers
  int stride;      // of rows between layers
  int out_stride;  // of rows behind the last

  FPD_HD TileMemory(float* base, const EdgeStepArgs& args)
      : base(base),
        rows(args.plan.rows),
        count(args.network.count),
        stride(row_stride(widest_between(args.network))),
        out_stride(row_stride(step_out(args))) {}

  // What goes into a layer, and the slopes of the activation there, later the gradients of sums.
  FPD_HD float* values(int l) const { return base + l * rows * stride; }
  FPD_HD float* slopes(int l) const { return values(count + l); }
  FPD_HD float* out() const { return values(2 * count); }
  FPD_HD float* out_grads() const { return out() + rows * out_stride; }
  FPD_HD float* pulls() const { return out_grads() + rows * out_stride; }
  FPD_HD float* losses() const { return pulls() + rows; }
  FPD_HD float* weights() const { return losses() + rows; }
};

// A factor's last rows may lie up to four floats behind an array: they are read, and not used.
constexpr int kTileSlack = kProductRows;

// Floats that a plan takes.
inline std::int64_t tile_floats(const EdgeStepArgs& args) {
  const TileMemory memory(nullptr, args);
  const std::int64_t rows = 2 * memory.count * memory.stride + 2 * memory.out_stride + 2;
  int weights = 0;
  for (int l = 0; l < args.network.count; ++l) {
    const int floats = weight_floats(args.network.layers[l]);
    weights = args.plan.resident ? weights + floats : std::max(weights, floats);
  }
  return rows * memory.rows + weights + kTileSlack;
}

template <typename Block>
FPD_HD void load_weight(Block& block, const DenseLayer& layer, float* memory) {
  const int rows = padded_to(layer.out, kProductRows), stride = row_stride(layer.in);
  const int columns = padded_to(layer.in, kProductDepth);
  const auto copy = [&](auto size) {
    constexpr int width = decltype(size)::value;
    block.matrix(rows, columns / width, [&](int o, int piece) {
      const int i = piece * width, valid = o < layer.out ? valid_of(i, layer.in, width) : 0;
      block.template copy<width>(memory + o * stride + i,
                                 valid == 0 ? layer.weight : layer.weight + o * layer.in + i,
                                 valid);
    });
  };
  if (layer.in % 4 == 0 && reinterpret_cast<std::uintptr_t>(layer.weight) % 16 == 0) {
    copy(std::integral_constant<int, 4>());
  } else {
    copy(std::integral_constant<int, 1>());
  }
}

template <typename Block>
FPD_HD void load_weights(Block& block, const EdgeStepArgs& args, const TileMemory& memory) {
  for (int l = 0; l < args.network.count; ++l) {
    load_weight(block, args.network.layers[l], memory.weights() + weights_before(args.network, l));
  }
}

// Where a layer's weights are, which are loaded first unless they stay.
template <typename Block>
FPD_HD const float* weight_of(Block& block, const EdgeStepArgs& args, const TileMemory& memory,
                              int l) {
  if (args.plan.resident) return memory.weights() + weights_before(args.network, l);
  block.sync();  // all are done with those of before
  load_weight(block, args.network.layers[l], memory.weights());
  block.commit();
  block.template wait<0>();
  block.sync();
  return memory.weights();
}

// Parts of the first layer's sums that are fetched ahead, into what the layers fill later.
FPD_HD int parts_ahead(const EdgeStepArgs& args) {
  const std::int64_t parts = args.plan.columns.parts, room = 2 * args.network.count;
  return static_cast<int>(parts < room ? parts : room);
}

template <typename Block>
FPD_HD void fetch_sums(Block& block, const EdgeStepArgs& args, const TileMemory& memory,
                       std::int64_t first, int rows) {
  const int columns = padded_to(args.first.out, kProductColumns), parts = parts_ahead(args);
  block.matrix(parts * rows, columns / 4, [&](int row, int piece) {
    const int p = row / rows, r = row % rows;
    block.template copy<4>(
        memory.values(p) + r * memory.stride + 4 * piece,
        args.scratch.sums + (p * step_rows(args) + first + r) * columns + 4 * piece, 4);
  });
}

template <typename Block, typename Function>
FPD_HD void first_values(Block& block, const EdgeStepArgs& args, const TileMemory& memory,
                         std::int64_t first, int rows, Function activate) {
  const int out = args.first.out, columns = padded_to(out, kProductColumns);
  const int ahead = parts_ahead(args);
  block.matrix(memory.rows, columns, [&](int r, int o) {
    ActivationTerm term{0.0f, 0.0f};
    const int at = r * memory.stride + o;
    if (r < rows && o < out) {
      float sum = 0.0f;
      for (int p = 0; p < ahead; ++p) sum += memory.values(p)[at];
      for (std::int64_t p = ahead; p < args.plan.columns.parts; ++p) {
        sum += args.scratch.sums[(p * step_rows(args) + first + r) * columns + o];
      }
      term = activate(sum + args.first.bias[o]);
    }
    memory.values(0)[at] = term.value;
    memory.slopes(0)[at] = term.slope;
  });
}

// The last layer's products are float32; those before it round their factors.
template <bool is_last, typename Block, typename Function>
FPD_HD void forward_layer(Block& block, const EdgeStepArgs& args, const TileMemory& memory, int l,
                          Function activate) {
  const DenseLayer& layer = args.network.layers[l];
  const float *weight = weight_of(block, args, memory, l), *values = memory.values(l);
  const int stride = row_stride(layer.in), columns = padded_to(layer.out, kProductColumns);
  const ProductShape shape{padded_to(layer.out, kProductRows), memory.rows,
                           padded_to(layer.in, kProductDepth)};
  block_product<is_last>(
      block, shape, [&](int o, int i) { return weight[o * stride + i]; },
      [&](int i, int r) { return values[r * memory.stride + i]; },
      [&](int o, int r, float x, float y) {
        if (o >= columns) return;
        const float bias = o < layer.out ? layer.bias[o] : 0.0f, sums[] = {x + bias, y + bias};
        FPD_UNROLL
        for (int side = 0; side < 2; ++side) {
          if constexpr (is_last) {
            memory.out()[(r + side) * memory.out_stride + o] = sums[side];
          } else {
            ActivationTerm term{0.0f, 0.0f};
            if (o < layer.out) term = activate(sums[side]);
            memory.values(l + 1)[(r + side) * memory.stride + o] = term.value;
            memory.slopes(l + 1)[(r + side) * memory.stride + o] = term.slope;
          }
        }
      });
  block.sync();
}

// The loss of the tile's edges, added to that of the slot, and the gradients in the embedding.
template <typename Block>
FPD_HD void tile_loss(Block& block, const EdgeStepArgs& args, const TileMemory& memory, int heads,
                      double* loss, bool is_first) {
  const int slots = 1 + args.draw.negatives, group = 1 + slots, dim = step_out(args);
  const int stride = memory.out_stride;
  const float *out = memory.out(), edges = static_cast<float>(args.draw.batch) * slots;
  float *pulls = memory.pulls(), *losses = memory.losses();
  block.elements(heads * slots, [&](int e) {
    const float* head = out + e / slots * group * stride;
    const float* tail = head + (1 + e % slots) * stride;
    float d2 = 0.0f;
    for (int c = 0; c < dim; ++c) d2 += (head[c] - tail[c]) * (head[c] - tail[c]);
    const EdgeTerm term = args.cross_entropy(d2, e % slots == 0);
    losses[e] = term.loss;
    pulls[e] = 2.0f / edges * term.slope;
  });
  block.sync();
  block.matrix(memory.rows, padded_to(dim, kProductColumns), [&](int r, int c) {
    const int head = r / group, place = r % group;
    const float* own = out + r * stride + c;
    float gradient = 0.0f;
    if (head < heads && c < dim) {
      for (int slot = 0; place == 0 && slot < slots; ++slot) {
        gradient += pulls[head * slots + slot] * (own[0] - own[(1 + slot) * stride]);
      }
      if (place > 0) gradient = pulls[head * slots + place - 1] * (own[0] - own[-place * stride]);
    }
    memory.out_grads()[r * stride + c] = gradient;
  });
  block.elements(1, [&](int) {
    double sum = is_first ? 0.0 : *loss;
    for (int e = 0; e < heads * slots; ++e) sum += losses[e];
    *loss = sum;
  });
  block.sync();
}

// Sums over the tile's rows of `grads`, added to what is there.
template <typename Block>
FPD_HD void add_bias_grads(Block& block, const float* grads, int stride, int rows, int out,
                           float* to, bool is_first) {
  block.elements(out, [&](int o) {
    float sum = is_first ? 0.0f : to[o];
    for (int r = 0; r < rows; ++r) sum += grads[r * stride + o];
    to[o] = sum;
  });
}

// Gradients of a layer's weights and biases, added to the slot's, and those of its input's sums.
template <bool is_last, typename Block>
FPD_HD void backward_layer(Block& block, const EdgeStepArgs& args, const TileMemory& memory, int l,
                           float* slot, bool is_first) {
  const DenseLayer& layer = args.network.layers[l];
  const float *weight = weight_of(block, args, memory, l), *values = memory.values(l);
  const float* grads = is_last ? memory.out_grads() : memory.slopes(l + 1);
  const int stride = row_stride(layer.in), own = is_last ? memory.out_stride : memory.stride;
  const int in = padded_to(layer.in, kProductColumns);
  float *to = slot + slot_before(args, l), *slopes = memory.slopes(l);
  block_product<is_last>(
      block, {padded_to(layer.out, kProductRows), in, memory.rows},
      [&](int o, int r) { return grads[r * own + o]; },
      [&](int r, int i) { return values[r * memory.stride + i]; },
      [&](int o, int i, float x, float y) {
        if (o >= layer.out || i >= layer.in) return;
        float* at = to + o * layer.in + i;
        const int count = i + 1 < layer.in ? 2 : 1;
        if (!is_first) x += at[0];
        if (!is_first && count == 2) y += at[1];
        block.put(at, x, y, count);
      });
  add_bias_grads(block, grads, own, memory.rows, layer.out, to + layer.out * layer.in, is_first);
  block_product<is_last>(
      block, {padded_to(layer.in, kProductRows), memory.rows, padded_to(layer.out, kProductDepth)},
      [&](int i, int o) { return weight[o * stride + i]; },
      [&](int o, int r) { return grads[r * own + o]; },
      [&](int i, int r, float x, float y) {
        if (i >= in) return;
        slopes[r * memory.stride + i] *= x;
        slopes[(r + 1) * memory.stride + i] *= y;
      });
  block.sync();
}

// Gradients in the first layer's sums, for the launch behind, and of its biases.
template <typename Block>
FPD_HD void put_first_grads(Block& block, const EdgeStepArgs& args, const TileMemory& memory,
                            std::int64_t first, int rows, float* slot, bool is_first) {
  const float* grads = memory.slopes(0);
  const int columns = padded_to(args.first.out, kProductColumns);
  block.matrix(rows, columns, [&](int r, int o) {
    args.scratch.sum_grads[(first + r) * columns + o] = grads[r * memory.stride + o];
  });
  add_bias_grads(block, grads, memory.stride, memory.rows, args.first.out, slot, is_first);
  block.sync();
}

// Block `index` of the second launch, which has a slot's tiles.
template <typename Block, typename Function>
FPD_HD void tile_block(Block& block, const EdgeStepArgs& args, std::int64_t index, float* base,
                       Function activate) {
  const TileMemory memory(base, args);
  const int last = args.network.count - 1, group = rows_per_head(args);
  float* slot = args.scratch.slot_partials + index * slot_size(args);
  if (index == 0) block.elements(1, [&](int) { args.counters[1] = args.counters[0]; });
  for (std::int64_t tile = index; tile < args.plan.tiles; tile += args.plan.slots) {
    const std::int64_t head = tile * args.plan.heads, left = args.draw.batch - head;
    const int heads = left < args.plan.heads ? static_cast<int>(left) : args.plan.heads;
    const bool is_first = tile == index;
    fetch_sums(block, args, memory, head * group, heads * group);
    block.commit();
    if (is_first && args.plan.resident) load_weights(block, args, memory);
    block.commit();
    block.template wait<1>();
    block.sync();
    first_values(block, args, memory, head * group, heads * group, activate);
    block.template wait<0>();
    block.sync();
    for (int l = 0; l < last; ++l) forward_layer<false>(block, args, memory, l, activate);
    forward_layer<true>(block, args, memory, last, activate);
    tile_loss(block, args, memory, heads, args.scratch.loss_partials + index, is_first);
    backward_layer<true>(block, args, memory, last, slot, is_first);
    for (int l = last - 1; l >= 0; --l) {
      backward_layer<false>(block, args, memory, l, slot, is_first);
    }
    put_first_grads(block, args, memory, head * group, heads * group, slot, is_first);
  }
}

}  // namespace fpd
