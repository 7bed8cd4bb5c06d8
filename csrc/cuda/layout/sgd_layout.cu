#include "cuda/support/launch.cuh"
#include "ops/layout/sgd_layout.h"

namespace fpd::cuda {
namespace {

// The sampled edges of an epoch: each row's at the start of its place among the edges, by part.
struct SampledEdges {
  std::int32_t* ends;   // (steps_per_epoch, n) where a part of a row ends, from the row's start
  std::int32_t* tails;  // (edges,)

  explicit SampledEdges(const SgdLayoutArgs& args)
      : ends(static_cast<std::int32_t*>(args.scratch)),
        tails(ends + args.steps_per_epoch * args.n) {}

  __device__ std::int64_t end(const SgdLayoutArgs& args, std::int64_t point, int part) const {
    return args.indptr[point] + (part < 0 ? 0 : ends[part * args.n + point]);
  }
};

// Calls body(edge, part) for the sampled edges of a point.
template <typename Body>
__device__ void for_sampled(const SgdLayoutArgs& args, std::int64_t point, std::int64_t epoch,
                            const Body& body) {
  const EpochParts parts = EpochParts::of(args);
  for (std::int64_t e = args.indptr[point]; e < args.indptr[point + 1]; ++e) {
    if (!is_sampled(samples_per_epoch(args.weights[e], args.largest_weight), epoch)) continue;
    const std::uint32_t tail = static_cast<std::uint32_t>(args.tails[e]);
    body(e, parts.part_of(static_cast<std::uint32_t>(point), tail));
  }
}

// A thread a point: counts its sampled edges by part, then sorts them.
__global__ void find_sampled_kernel(SgdLayoutArgs args, SampledEdges sampled, std::int64_t epoch) {
  for (std::int64_t i = thread_index(); i < args.n; i += thread_count()) {
    std::int32_t* const places = sampled.ends + i;
    for (int part = 0; part < args.steps_per_epoch; ++part) places[part * args.n] = 0;
    for_sampled(args, i, epoch, [&](std::int64_t, int part) { ++places[part * args.n]; });
    std::int32_t start = 0;
    for (int part = 0; part < args.steps_per_epoch; ++part) {
      const std::int32_t count = places[part * args.n];
      places[part * args.n] = start;
      start += count;
    }
    for_sampled(args, i, epoch, [&](std::int64_t e, int part) {
      const std::int64_t to = args.indptr[i] + places[part * args.n]++;
      sampled.tails[to] = args.tails[e];
      if (args.density.pulls != nullptr) args.density.sampled_weights[to] = args.weights[e];
    });
  }
}

// Columns of the positions. The compiler knows a few, so that their sums stay in registers; beyond
// them, with `few` 0, a sum is kept in the output row.
template <int few>
__device__ std::int64_t columns_of(const SgdLayoutArgs& args) {
  return few > 0 ? few : args.dim;
}

// Adds factor(d2) of the difference of one pair, its components limited, to the sum of its head.
template <int few, typename Factor>
__device__ void add_pair(const SgdLayoutArgs& args, const LayoutStep& step, std::int64_t head,
                         std::int32_t tail, const Factor& factor_of, float* sum) {
  const std::int64_t dim = columns_of<few>(args);
  const float* from = step.from + head * dim;
  const float* other = step.others + tail * dim;
  float d2 = 0.0f;
  for (std::int64_t c = 0; c < dim; ++c) d2 += (from[c] - other[c]) * (from[c] - other[c]);
  const float factor = factor_of(d2);
  for (std::int64_t c = 0; c < dim; ++c) {
    sum[c] += limited(factor * (from[c] - other[c]), kTermLimit);
  }
}

// Adds the attraction of a sampled edge, and densMAP's term.
template <int few>
__device__ void add_edge(const SgdLayoutArgs& args, const LayoutStep& step,
                         const SampledEdges& sampled, std::int64_t head, std::int64_t edge,
                         float* sum) {
  const std::int32_t tail = sampled.tails[edge];
  add_pair<few>(args, step, head, tail, [&](float d2) { return args.force.attraction(d2); }, sum);
  const DensityPull* const pulls = args.density.pulls;
  if (pulls == nullptr) return;
  const DensityPull both{pulls[head].by_strength + pulls[tail].by_strength,
                         pulls[head].by_square + pulls[tail].by_square};
  const float weight = args.density.sampled_weights[edge];
  add_pair<few>(
      args, step, head, tail, [&](float d2) { return density_factor(args, d2, weight, both); },
      sum);
}

__device__ std::uint32_t word_of(const PhiloxBits& bits, int word) {
  const std::uint32_t words[] = {
      static_cast<std::uint32_t>(bits.low), static_cast<std::uint32_t>(bits.low >> 32),
      static_cast<std::uint32_t>(bits.high), static_cast<std::uint32_t>(bits.high >> 32)};
  return word < 4 ? words[word] : fifth_word(words[0], words[1], words[2], words[3]);
}

template <int few>
__device__ void add_negatives(const SgdLayoutArgs& args, const LayoutStep& step, std::int64_t head,
                              std::int32_t tail, float* sum) {
  const auto repulsion = [&](float d2) { return args.force.repulsion(d2); };
  for (int block = 0; block * kDrawsPerBlock < args.negatives; ++block) {
    const PhiloxBits bits = philox(args.seed, draw_step(step.epoch, block), args.streams[head],
                                   static_cast<std::uint32_t>(tail));
    const int left = args.negatives - block * kDrawsPerBlock;
#pragma unroll
    for (int word = 0; word < kDrawsPerBlock; ++word) {
      if (word < left) {
        add_pair<few>(args, step, head, negative_tail(args, word_of(bits, word)), repulsion, sum);
      }
    }
  }
}

// A thread a point.
template <int few>
__global__ void layout_step_kernel(SgdLayoutArgs args, LayoutStep step, SampledEdges sampled) {
  const int other = EpochParts::of(args).mirrored(step.part);
  for (std::int64_t i = thread_index(); i < args.n; i += thread_count()) {
    const std::int64_t dim = columns_of<few>(args);
    float registers[few > 0 ? few : 1];
    float* sum = few > 0 ? registers : step.to + i * dim;
    for (std::int64_t c = 0; c < dim; ++c) sum[c] = 0.0f;
    for (std::int64_t e = sampled.end(args, i, step.part - 1); e < sampled.end(args, i, step.part);
         ++e) {
      add_edge<few>(args, step, sampled, i, e, sum);
      add_negatives<few>(args, step, i, sampled.tails[e], sum);
    }
    if (args.anchors == nullptr) {
      for (std::int64_t e = sampled.end(args, i, other - 1); e < sampled.end(args, i, other); ++e) {
        add_edge<few>(args, step, sampled, i, e, sum);
      }
    }
    for (std::int64_t c = 0; c < dim; ++c) {
      const std::int64_t place = i * dim + c;
      step.to[place] = moved(step.from[place], sum[c], step);
    }
  }
}

auto step_kernel(std::int64_t dim) {
  switch (dim) {
    case 1: return layout_step_kernel<1>;
    case 2: return layout_step_kernel<2>;
    case 3: return layout_step_kernel<3>;
    case 4: return layout_step_kernel<4>;
    default: return layout_step_kernel<0>;
  }
}

}  // namespace

std::size_t sgd_layout_scratch(std::int64_t n, std::int64_t edges, int steps_per_epoch) {
  return (steps_per_epoch * n + edges) * sizeof(std::int32_t);
}

void sgd_layout(const SgdLayoutArgs& args, void* stream) {
  if (args.n == 0) return;
  const unsigned blocks = blocks_for(args.n, kBlockSize);
  const SampledEdges sampled(args);
  const auto kernel = step_kernel(args.dim);
  const std::int64_t steps = steps_of(args);
  for (std::int64_t count = 0; count < steps; ++count) {
    const LayoutStep step = LayoutStep::of(args, count);
    if (step.part == 0) {
      find_sampled_kernel<<<blocks, kBlockSize, 0, as_stream(stream)>>>(args, sampled, step.epoch);
      FPD_CUDA_CHECK(cudaGetLastError());
    }
    kernel<<<blocks, kBlockSize, 0, as_stream(stream)>>>(args, step, sampled);
    FPD_CUDA_CHECK(cudaGetLastError());
  }
  if (steps % 2 == 1) {
    FPD_CUDA_CHECK(cudaMemcpyAsync(args.positions, args.next, sizeof(float) * args.n * args.dim,
                                   cudaMemcpyDeviceToDevice, as_stream(stream)));
  }
}

}  // namespace fpd::cuda
