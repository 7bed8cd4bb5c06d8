// A fully connected network on rows of a table, forward alone, at the precision of float32: a block
// takes a tile of rows through all layers. For devices, where a model is applied.
#pragma once

#include "ops/training/hidden_layers.h"

namespace fpd {

struct EmbedRowsArgs {
  float* out;          // (rows, out of the last layer)
  const float* table;  // (rows, in of the first)
  std::int64_t rows;
  DenseLayer first;
  HiddenLayers network;  // behind it
};

namespace cpu {
void embed_rows(const EmbedRowsArgs& args, int threads);
}  // namespace cpu
namespace cuda {
void embed_rows(const EmbedRowsArgs& args, void* stream);
}  // namespace cuda

}  // namespace fpd
