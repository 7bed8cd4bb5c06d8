#include "../ops/sgd_layout.h"
#include "launch.cuh"

namespace fpd::cuda {
namespace {

constexpr int kMaxDimInRegisters = 4;  // beyond it, the sum is kept in the output row

// Adds the term of one pair to the sum of its head.
__device__ void add_pair(const SgdLayoutArgs& args, const LayoutStep& step, std::int64_t head,
                         std::int32_t tail, bool attractive, float* sum) {
  const float* from = step.from + head * args.dim;
  const float* other = step.others + tail * args.dim;
  float d2 = 0.0f;
  for (std::int64_t c = 0; c < args.dim; ++c) d2 += (from[c] - other[c]) * (from[c] - other[c]);
  const float factor = attractive ? args.force.attraction(d2) : args.force.repulsion(d2);
  const float scale = attractive ? attraction_scale(args) : 1.0f;
  for (std::int64_t c = 0; c < args.dim; ++c) {
    sum[c] += scale * limited(factor * (from[c] - other[c]), kTermLimit);
  }
}

__device__ void add_edge(const SgdLayoutArgs& args, const LayoutStep& step, std::int64_t head,
                         std::int64_t edge, float* sum) {
  add_pair(args, step, head, args.tails[edge], true, sum);
  const std::uint32_t block = first_block(args, step, head, edge);
  PhiloxBits bits{};
  for (int negative = 0; negative < args.negatives; ++negative) {
    const int word = negative % static_cast<int>(kWordsPerBlock);
    if (word == 0) {
      bits = philox(args.seed, step.index, args.streams[head],
                    block + static_cast<std::uint32_t>(negative / kWordsPerBlock));
    }
    const std::uint64_t half = word < 2 ? bits.low : bits.high;
    const std::uint32_t drawn = static_cast<std::uint32_t>(half >> (32 * (word % 2)));
    add_pair(args, step, head, negative_tail(args, drawn), false, sum);
  }
}

// A thread a point.
__global__ void layout_step_kernel(SgdLayoutArgs args, LayoutStep step) {
  for (std::int64_t i = thread_index(); i < args.n; i += thread_count()) {
    float registers[kMaxDimInRegisters];
    float* sum = args.dim <= kMaxDimInRegisters ? registers : step.to + i * args.dim;
    for (std::int64_t c = 0; c < args.dim; ++c) sum[c] = 0.0f;
    for (std::int64_t e = step.indptr[i]; e < step.indptr[i + 1]; ++e) {
      if (is_due(args.rates[e], step.epoch)) add_edge(args, step, i, e, sum);
    }
    for (std::int64_t c = 0; c < args.dim; ++c) {
      const std::int64_t place = i * args.dim + c;
      step.to[place] = moved(step.from[place], sum[c], step);
    }
  }
}

}  // namespace

void sgd_layout(const SgdLayoutArgs& args, void* stream) {
  const std::int64_t steps = steps_of(args);
  if (args.n == 0) return;
  for (std::int64_t count = 0; count < steps; ++count) {
    layout_step_kernel<<<blocks_for(args.n, kBlockSize), kBlockSize, 0, as_stream(stream)>>>(
        args, LayoutStep::of(args, count));
    FPD_CUDA_CHECK(cudaGetLastError());
  }
  if (steps % 2 == 1) {
    FPD_CUDA_CHECK(cudaMemcpyAsync(args.positions, args.scratch, sizeof(float) * args.n * args.dim,
                                   cudaMemcpyDeviceToDevice, as_stream(stream)));
  }
}

}  // namespace fpd::cuda
