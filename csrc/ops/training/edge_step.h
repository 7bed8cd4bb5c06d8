// A training step of a fully connected network on negative-sampled edges, in four launches: draws
// and the first layer's sums; the layers behind it with the loss and their gradients; the gradients
// of the first layer's weights; sums of all gradients with Adam's update. Rows of a batch are
// ordered by head, each with its tails behind it, so that a tile of rows has whole edges. Sums over
// rows have a fixed order. blocks/ holds what a block of each launch does.
#pragma once

#include <cstddef>

#include "ops/training/adam.h"
#include "ops/training/edge_loss.h"
#include "ops/training/edge_sampler.h"
#include "ops/training/hidden_layers.h"

namespace fpd {

constexpr int kMaxStepTensors = 2 * (kMaxHiddenLayers + 1);
constexpr int kMaxStepRows = 32;           // of a tile
constexpr std::int64_t kStepBlocks = 132;  // that launches aim at: an H200's multiprocessors

// How a product's depth is split among blocks.
struct DepthSplit {
  std::int64_t size;  // of a part, whole stages
  std::int64_t parts;
};

struct EdgeStepPlan {
  int heads;            // of a tile; 0 where the network does not fit
  int rows;             // of a tile, padded to whole products
  bool resident;        // whether all weights stay in a block's shared memory
  std::int64_t floats;  // of shared memory that a tile takes
  std::int64_t tiles;
  std::int64_t slots;  // blocks that share the tiles, each with its sums of gradients
  DepthSplit columns;  // of the first layer's sums
  DepthSplit batch;    // of its gradients
};

// Weight, bias, weight, ... from the first layer on.
struct StepTensors {
  float* values[kMaxStepTensors];
  std::int64_t begin[kMaxStepTensors + 1];  // in arrays of all
  int count;
};

// Arrays in the scratch.
struct EdgeStepScratch {
  float* sums;            // (columns.parts, rows, padded out) of the first layer, without bias
  float* sum_grads;       // (rows, padded out) gradients in them
  float* first_partials;  // (batch.parts, out, in) gradients of the first layer's weights
  float* slot_partials;   // (slots, size) those of all other tensors
  double* loss_partials;  // (slots,)
  std::int32_t* nodes;    // (rows,) of the batch
};

struct EdgeStepArgs {
  EdgeDrawArgs draw;  // its counter is `counters`; heads and tails are not used
  CrossEntropy cross_entropy;
  const float* table;  // (n, in)
  DenseLayer first;
  HiddenLayers network;    // behind it
  StepTensors tensors;     // the same weights and biases, in and out
  float* means;            // (all,) in and out, of Adam
  float* squares;          // (all,) in and out
  float* gradients;        // (all,) out; may be null
  float* losses;           // (steps,) out, that of the step
  std::int64_t steps;      // later ones change nothing
  const float* rates;      // (steps,) learning rates, or null: they are all `rate`
  std::int64_t* counters;  // (2,) in and out: the next step, and that which is made
  AdamRule rule;           // its scales are those of the step
  float rate;
  EdgeStepScratch scratch;
  EdgeStepPlan plan;
};

FPD_HD int rows_per_head(const EdgeStepArgs& args) { return 2 + args.draw.negatives; }
FPD_HD std::int64_t step_rows(const EdgeStepArgs& args) {
  return args.draw.batch * rows_per_head(args);
}
FPD_HD int step_out(const EdgeStepArgs& args) {
  return args.network.layers[args.network.count - 1].out;
}

// Where the weights and biases of a layer behind the first begin in a slot's sums of gradients.
FPD_HD std::int64_t slot_before(const EdgeStepArgs& args, int l) {
  return args.first.out + gradients_before(args.network, l);
}
FPD_HD std::int64_t slot_size(const EdgeStepArgs& args) {
  return slot_before(args, args.network.count);
}

namespace cpu {
void edge_step(const EdgeStepArgs& args, int threads);
}  // namespace cpu
namespace cuda {
void edge_step(const EdgeStepArgs& args, void* stream);
}  // namespace cuda

}  // namespace fpd
