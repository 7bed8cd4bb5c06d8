// A tile of a table's rows through a whole network.
#pragma once

#include "ops/training/blocks/edge_tile.h"
#include "ops/training/blocks/first_layer.h"
#include "ops/training/embed_rows.h"

namespace fpd {

FPD_HD std::int64_t embed_tiles(const EmbedRowsArgs& args) {
  return (args.rows + kSplitRows - 1) / kSplitRows;
}

// The values of every other layer lie where the first one's stages were.
static_assert(kSplitStages * SumSource<4, 2>::stage_size() >=
                  kSplitRows * row_stride(kMaxHiddenWidth),
              "the stages hold a layer's values");

// Floats of shared memory: the first layer's stages, a layer's values and all weights.
template <int tiles>
std::int64_t embed_block_floats(const EmbedRowsArgs& args) {
  return kSplitRows + kSplitStages * SumSource<4, tiles>::stage_size() +
         kSplitRows * row_stride(widest_between(args.network)) +
         weights_before(args.network, args.network.count) + kTileSlack;
}

// Whether a block of so many bytes holds the network.
inline bool embed_rows_fit(const EmbedRowsArgs& args, std::size_t shared_bytes) {
  bool fits = false;
  with_split_tiles(args.first.out, [&](auto tiles) {
    const auto limit = static_cast<std::int64_t>(shared_bytes / sizeof(float));
    fits = embed_block_floats<tiles>(args) <= limit;
  });
  return fits;
}

template <int width, int tiles, typename Block, typename Function>
FPD_HD void embed_first(Block& block, const EmbedRowsArgs& args, std::int64_t first, float* memory,
                        float* values, Function activate) {
  std::int32_t* nodes = reinterpret_cast<std::int32_t*>(memory);
  block.elements(kSplitRows, [&](int row) { nodes[row] = first + row < args.rows ? row : -1; });
  block.sync();
  const SumSource<width, tiles> source{args.table + first * args.first.in, nodes, args.first};
  typename Block::template PerWarp<SplitSums<Block, tiles>> sums;
  split_product<tiles>(block, source, 0, args.first.in, memory + kSplitRows, sums);
  const int stride = row_stride(widest_between(args.network));
  const int columns = padded_to(args.first.out, kProductColumns);
  each_split_sum<tiles>(block, sums, [&](int row, int column, float x, float y) {
    const float pair[] = {x, y};
    FPD_UNROLL
    for (int side = 0; side < 2; ++side) {
      const int o = column + side;
      if (o >= columns) continue;
      const bool real = o < args.first.out;
      values[row * stride + o] = real ? activate(pair[side] + args.first.bias[o]).value : 0.0f;
    }
  });
  block.sync();
}

template <bool is_last, typename Block, typename Function>
FPD_HD void embed_layer(Block& block, const EmbedRowsArgs& args, std::int64_t first, int l,
                        const float* weight, const float* values, float* next, Function activate) {
  const DenseLayer& layer = args.network.layers[l];
  const int stride = row_stride(layer.in), columns = padded_to(layer.out, kProductColumns);
  const int row_floats = row_stride(widest_between(args.network));
  block_product<true>(
      block, {padded_to(layer.out, kProductRows), kSplitRows, padded_to(layer.in, kProductDepth)},
      [&](int o, int i) { return weight[o * stride + i]; },
      [&](int i, int r) { return values[r * row_floats + i]; },
      [&](int o, int r, float x, float y) {
        if (o >= columns) return;
        const bool real = o < layer.out;
        const float bias = real ? layer.bias[o] : 0.0f, pair[] = {x + bias, y + bias};
        FPD_UNROLL
        for (int side = 0; side < 2; ++side) {
          const int row = r + side;
          if constexpr (is_last) {
            if (real && first + row < args.rows) {
              args.out[(first + row) * layer.out + o] = pair[side];
            }
          } else {
            next[row * row_floats + o] = real ? activate(pair[side]).value : 0.0f;
          }
        }
      });
  block.sync();
}

// Tiles `index`, `index` + `blocks`, ...
template <int width, int tiles, typename Block, typename Function>
FPD_HD void embed_block(Block& block, const EmbedRowsArgs& args, std::int64_t index,
                        std::int64_t blocks, float* memory, Function activate) {
  float* others = memory + kSplitRows;
  float* values = others + kSplitStages * SumSource<4, tiles>::stage_size();
  float* weights = values + kSplitRows * row_stride(widest_between(args.network));
  const int last = args.network.count - 1;
  for (int l = 0; l <= last; ++l) {
    load_weight(block, args.network.layers[l], weights + weights_before(args.network, l));
  }
  block.commit();
  for (std::int64_t tile = index; tile < embed_tiles(args); tile += blocks) {
    const std::int64_t first = tile * kSplitRows;
    embed_first<width, tiles>(block, args, first, memory, values, activate);
    block.template wait<0>();  // for the weights
    block.sync();
    for (int l = 0; l < last; ++l) {
      embed_layer<false>(block, args, first, l, weights + weights_before(args.network, l),
                         l % 2 == 0 ? values : others, l % 2 == 0 ? others : values, activate);
    }
    embed_layer<true>(block, args, first, last, weights + weights_before(args.network, last),
                      last % 2 == 0 ? values : others, static_cast<float*>(nullptr), activate);
  }
}

}  // namespace fpd
