#include <stdexcept>
#include <string>

#include "cuda/support/launch.cuh"
#include "ops/neighbors/nearest_in_tile.h"

namespace fpd::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int kPerLane = 4;  // columns a lane looks at between two votes
constexpr unsigned kAllLanes = 0xffffffffu;

// A row's list in the registers of a warp: entry e in lane e % 32, slot e / 32, ascending.
template <int slots>
struct WarpList {
  float bounds[slots];
  std::int32_t indices[slots];

  __device__ void load(const CandidateLists& lists, std::int64_t row, int lane) {
    for (int s = 0; s < slots; ++s) {
      bounds[s] = lists.bounds[row * lists.width + s * kWarp + lane];
      indices[s] = lists.indices[row * lists.width + s * kWarp + lane];
    }
  }

  __device__ void store(const CandidateLists& lists, std::int64_t row, int lane) const {
    for (int s = 0; s < slots; ++s) {
      lists.bounds[row * lists.width + s * kWarp + lane] = bounds[s];
      lists.indices[row * lists.width + s * kWarp + lane] = indices[s];
    }
  }

  __device__ float farthest() const { return __shfl_sync(kAllLanes, bounds[slots - 1], kWarp - 1); }

  // Entries above the newcomer move up by one; of equal ones, the earlier stays.
  __device__ void insert(float bound, std::int32_t index, int lane) {
#pragma unroll
    for (int s = slots - 1; s >= 0; --s) {
      float below = __shfl_up_sync(kAllLanes, bounds[s], 1);
      std::int32_t below_index = __shfl_up_sync(kAllLanes, indices[s], 1);
      const float carried =
          s > 0 ? __shfl_sync(kAllLanes, bounds[s > 0 ? s - 1 : 0], kWarp - 1) : -INFINITY;
      const std::int32_t carried_index =
          __shfl_sync(kAllLanes, indices[s > 0 ? s - 1 : 0], kWarp - 1);
      if (lane == 0) {
        below = carried;
        below_index = carried_index;
      }
      if (bounds[s] > bound) {
        const bool moves = below > bound;
        bounds[s] = moves ? below : bound;
        indices[s] = moves ? below_index : index;
      }
    }
  }
};

// kPerLane bounds from `column` on, infinite beyond the tile.
__device__ void bounds_at(const NearestInTileArgs& args, std::int64_t row, float row_norm,
                          std::int64_t column, bool aligned, float* found) {
  if (aligned && column + kPerLane <= args.columns) {
    const float4 cosines =
        *reinterpret_cast<const float4*>(args.cosines + row * args.columns + column);
    const float4 norms = *reinterpret_cast<const float4*>(args.norms + column);
    found[0] = squared_distance_bound(row_norm, norms.x, cosines.x, args.slack);
    found[1] = squared_distance_bound(row_norm, norms.y, cosines.y, args.slack);
    found[2] = squared_distance_bound(row_norm, norms.z, cosines.z, args.slack);
    found[3] = squared_distance_bound(row_norm, norms.w, cosines.w, args.slack);
    return;
  }
  for (int c = 0; c < kPerLane; ++c) {
    found[c] = column + c < args.columns ? args.bound(row_norm, row, column + c) : INFINITY;
  }
}

// A warp a row. Newcomers enter by column, whatever the lane that saw them.
template <int slots>
__global__ void nearest_in_tile_kernel(NearestInTileArgs args, bool aligned) {
  const int lane = static_cast<int>(threadIdx.x % kWarp);
  for (std::int64_t row = thread_index() / kWarp; row < args.lists.rows;
       row += thread_count() / kWarp) {
    WarpList<slots> list;
    list.load(args.lists, row, lane);
    const float row_norm = args.lists.row_norms[row];
    float farthest = list.farthest();
    for (std::int64_t start = 0; start < args.columns; start += kWarp * kPerLane) {
      const std::int64_t column = start + lane * kPerLane;
      float found[kPerLane];
      bounds_at(args, row, row_norm, column, aligned, found);
      bool near = false;
#pragma unroll
      for (int c = 0; c < kPerLane; ++c) near |= found[c] < farthest;
      for (unsigned waiting = __ballot_sync(kAllLanes, near); waiting != 0;
           waiting &= waiting - 1) {
        const int source = __ffs(static_cast<int>(waiting)) - 1;
#pragma unroll
        for (int c = 0; c < kPerLane; ++c) {
          const float bound = __shfl_sync(kAllLanes, found[c], source);
          if (!(bound < farthest)) continue;
          list.insert(bound,
                      static_cast<std::int32_t>(args.first_column + start + source * kPerLane + c),
                      lane);
          farthest = list.farthest();
        }
      }
    }
    list.store(args.lists, row, lane);
  }
}

template <int slots>
void launch(const NearestInTileArgs& args, bool aligned, void* stream) {
  nearest_in_tile_kernel<slots>
      <<<blocks_for(args.lists.rows, kBlockSize / kWarp), kBlockSize, 0, as_stream(stream)>>>(
          args, aligned);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace

void nearest_in_tile(const NearestInTileArgs& args, void* stream) {
  if (args.lists.rows == 0 || args.columns == 0) return;
  const auto address =
      reinterpret_cast<std::uintptr_t>(args.cosines) | reinterpret_cast<std::uintptr_t>(args.norms);
  const bool aligned = args.columns % kPerLane == 0 && address % sizeof(float4) == 0;
  switch (args.lists.width / kMinListWidth) {
    case 1: return launch<1>(args, aligned, stream);
    case 2: return launch<2>(args, aligned, stream);
    case 4: return launch<4>(args, aligned, stream);
    case 8: return launch<8>(args, aligned, stream);
    case 16: return launch<16>(args, aligned, stream);
    default: throw std::runtime_error("no list of width " + std::to_string(args.lists.width));
  }
}

}  // namespace fpd::cuda
