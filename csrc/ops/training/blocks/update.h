// The end of a step: sums of its gradients in a fixed order, Adam's update, and the mean loss.
#pragma once

#include "ops/support/warp_product.h"
#include "ops/training/edge_step.h"

namespace fpd {

constexpr int kFewPartials = 16;  // that one thread adds up

// How a tensor's gradient is stored: so many partial sums, `stride` floats apart.
struct Partials {
  const float* values;
  std::int64_t stride;
  std::int64_t count;
};

FPD_HD Partials partials_of(const EdgeStepArgs& args, int tensor) {
  const StepTensors& tensors = args.tensors;
  if (tensor == 0) return {args.scratch.first_partials, tensors.begin[1], args.plan.batch.parts};
  return {args.scratch.slot_partials + (tensors.begin[tensor] - tensors.begin[1]), slot_size(args),
          args.plan.slots};
}

FPD_HD std::int64_t tensor_size(const StepTensors& tensors, int tensor) {
  return tensors.begin[tensor + 1] - tensors.begin[tensor];
}

FPD_HD int elements_of_block(const EdgeStepArgs& args, int tensor) {
  return partials_of(args, tensor).count <= kFewPartials ? kBlockThreads : kWarpLanes;
}

FPD_HD std::int64_t update_blocks_of(const EdgeStepArgs& args, int tensor) {
  const int elements = elements_of_block(args, tensor);
  return (tensor_size(args.tensors, tensor) + elements - 1) / elements;
}

inline std::int64_t update_blocks(const EdgeStepArgs& args) {
  std::int64_t blocks = 1;  // of the loss
  for (int t = 0; t < args.tensors.count; ++t) blocks += update_blocks_of(args, t);
  return blocks;
}

// The rule of a step, counted from 0.
FPD_HD AdamRule rule_of(const EdgeStepArgs& args, std::int64_t step) {
  // 1 - beta^t without its cancellation.
  const float t = static_cast<float>(step + 1);
  const float first = -std::expm1(t * std::log(args.rule.beta1));
  const float second = -std::expm1(t * std::log(args.rule.beta2));
  AdamRule rule = args.rule;
  rule.step_size = (args.rates == nullptr ? args.rate : args.rates[step]) / first;
  rule.square_scale = 1.0f / std::sqrt(second);
  return rule;
}

template <typename Block>
FPD_HD void loss_block(Block& block, const EdgeStepArgs& args, std::int64_t step, double* memory) {
  block.elements(static_cast<int>(args.plan.slots),
                 [&](int slot) { memory[slot] = args.scratch.loss_partials[slot]; });
  block.sync();
  block.elements(1, [&](int) {
    double sum = 0.0;
    for (std::int64_t slot = 0; slot < args.plan.slots; ++slot) sum += memory[slot];
    const double edges = static_cast<double>(args.draw.batch) * (1 + args.draw.negatives);
    args.losses[step] = static_cast<float>(sum / edges);
  });
}

// Block `index` of the last launch; `memory` holds kBlockThreads doubles.
template <typename Block>
FPD_HD void update_block(Block& block, const EdgeStepArgs& args, std::int64_t index,
                         double* memory) {
  const std::int64_t step = args.counters[1];
  if (step >= args.steps) return;
  int tensor = 0;
  while (tensor < args.tensors.count && index >= update_blocks_of(args, tensor)) {
    index -= update_blocks_of(args, tensor++);
  }
  if (tensor == args.tensors.count) return loss_block(block, args, step, memory);
  const Partials partials = partials_of(args, tensor);
  const int elements = elements_of_block(args, tensor), slices = kBlockThreads / elements;
  const std::int64_t first = index * elements, size = tensor_size(args.tensors, tensor);
  float* sums = reinterpret_cast<float*>(memory);
  block.elements(kBlockThreads, [&](int thread) {
    const std::int64_t e = first + thread % elements;
    float sum = 0.0f;
    if (e < size) {
      FPD_UNROLL_BY_8
      for (std::int64_t p = thread / elements; p < partials.count; p += slices) {
        sum += partials.values[p * partials.stride + e];
      }
    }
    sums[thread] = sum;
  });
  block.sync();
  const AdamRule rule = rule_of(args, step);
  block.elements(elements, [&](int thread) {
    if (first + thread >= size) return;
    float gradient = sums[thread];
    for (int slice = 1; slice < slices; ++slice) gradient += sums[slice * elements + thread];
    const std::int64_t e = args.tensors.begin[tensor] + first + thread;
    if (args.gradients != nullptr) args.gradients[e] = gradient;
    adam_update(rule, gradient, args.tensors.values[tensor][first + thread], args.means[e],
                args.squares[e]);
  });
}

}  // namespace fpd
