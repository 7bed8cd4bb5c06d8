#include <thrust/iterator/transform_iterator.h>

#include <algorithm>
#include <cub/device/device_scan.cuh>

#include "cuda/support/launch.cuh"
#include "ops/training/edge_sampler.h"

namespace fpd::cuda {
namespace {

// Before 2.7, which CUDA 12.8 brought, DeviceScan counted in 32 bits.
static_assert(CUB_VERSION >= 200700, "the edge table takes CUDA 12.8 or later");

struct Quantise {
  double scale;
  __host__ __device__ std::int64_t operator()(float weight) const {
    return quantised_weight(weight, scale);
  }
};

// Running sums into args.cumulative; without scratch, how many bytes of it that takes.
std::size_t running_sums(const EdgeTableArgs& args, std::size_t bytes, cudaStream_t stream) {
  const auto quantised = thrust::make_transform_iterator(args.weights, Quantise{args.scale});
  FPD_CUDA_CHECK(cub::DeviceScan::InclusiveSum(args.scratch, bytes, quantised, args.cumulative,
                                               args.size, stream));
  return bytes;
}

__global__ void guide_kernel(CumulativeTable table, std::int64_t* guide) {
  const std::int64_t entries = (std::int64_t{1} << table.guide_bits) + 1;
  for (std::int64_t s = thread_index(); s < entries; s += thread_count()) {
    guide[s] = table.guide_entry(s);
  }
}

__global__ void edge_draw_kernel(EdgeDrawArgs args) {
  for (std::int64_t lane = thread_index(); lane < args.batch; lane += thread_count()) {
    draw_lane(args, lane);
  }
}

}  // namespace

std::size_t edge_table_scratch(std::int64_t size) {
  EdgeTableArgs args{};
  args.size = size;
  return std::max<std::size_t>(1, running_sums(args, 0, nullptr));
}

void edge_table(const EdgeTableArgs& args, void* stream) {
  if (args.size == 0) return;
  running_sums(args, edge_table_scratch(args.size), as_stream(stream));
  const CumulativeTable table{args.cumulative, nullptr, args.size, args.guide_bits};
  const std::int64_t entries = (std::int64_t{1} << args.guide_bits) + 1;
  guide_kernel<<<blocks_for(entries, kBlockSize), kBlockSize, 0, as_stream(stream)>>>(table,
                                                                                      args.guide);
  FPD_CUDA_CHECK(cudaGetLastError());
}

void edge_draw(const EdgeDrawArgs& args, void* stream) {
  if (args.batch == 0) return;
  edge_draw_kernel<<<blocks_for(args.batch, kBlockSize), kBlockSize, 0, as_stream(stream)>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
