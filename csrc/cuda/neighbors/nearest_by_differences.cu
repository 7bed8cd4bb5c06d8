#include "cuda/neighbors/candidate_lists.cuh"
#include "cuda/support/launch.cuh"
#include "ops/neighbors/nearest_by_differences.h"

namespace fpd::cuda {
namespace {

constexpr int kWarps = kBlockSize / kWarp;
constexpr int kUp = 4, kAcross = 4;        // rows of a warp, columns of a lane
constexpr int kRows = kWarps * kUp;        // of a block
constexpr int kColumns = kWarp * kAcross;  // of a tile, for all warps
constexpr int kDepthBits = 5;
constexpr int kDepth = 1 << kDepthBits;  // coordinates of a tile
constexpr int kBlocksTogether = 3;       // of a multiprocessor: one computes while another waits

static_assert(kUp * sizeof(float) == sizeof(float4), "a warp reads its rows' coordinate at once");

// Coordinates of some rows and columns, those of several rows side by side.
struct Tile {
  alignas(16) float rows[kDepth][kRows];
  float columns[kDepth][kColumns + 1];  // the lanes that fill a column write to different banks
};

// `bits` is such that 2^bits lanes or more take the coordinates of one row.
__device__ void fetch(Tile& tile, const NearestByDifferencesArgs& args, std::uint32_t top,
                      std::uint32_t first, std::uint32_t last, std::int64_t depth_begin, int bits) {
  const int depth =
      static_cast<int>(min(static_cast<std::int64_t>(kDepth), args.dim - depth_begin));
  const int mask = (1 << bits) - 1;
  for (int i = static_cast<int>(threadIdx.x); i < kColumns << bits; i += kBlockSize) {
    const int column = i >> bits, d = i & mask;
    if (d >= depth) continue;
    // What is no column is at no distance, which no list takes.
    tile.columns[d][column] =
        first + column < last ? args.X[std::int64_t{first + column} * args.dim + depth_begin + d]
                              : NAN;
  }
  for (int i = static_cast<int>(threadIdx.x); i < kRows << bits; i += kBlockSize) {
    const int row = i >> bits, d = i & mask;
    if (d >= depth) continue;
    const bool there = std::int64_t{top} + row < args.rows;
    tile.rows[d][row] =
        there ? args.X[std::int64_t{args.points[top + row]} * args.dim + depth_begin + d] : 0.0f;
  }
}

// A lane's sums over the tile's coordinates.
__device__ void add(float (&sums)[kUp][kAcross], const Tile& tile, int depth, int warp, int lane) {
#pragma unroll 2
  for (int d = 0; d < depth; ++d) {
    const float4 row = *reinterpret_cast<const float4*>(&tile.rows[d][warp * kUp]);
    const float x[kUp] = {row.x, row.y, row.z, row.w};
#pragma unroll
    for (int c = 0; c < kAcross; ++c) {
      const float y = tile.columns[d][c * kWarp + lane];
#pragma unroll
      for (int r = 0; r < kUp; ++r) add_squared_difference(sums[r][c], x[r], y);
    }
  }
}

// Lets columns that are near enough join the lists of the warp's rows, in the order of columns.
__device__ void join(const NearestByDifferencesArgs& args, const float (&sums)[kUp][kAcross],
                     float (&farthest)[kUp], std::int64_t row, std::int64_t part,
                     std::uint32_t first, int lane) {
#pragma unroll
  for (int r = 0; r < kUp; ++r) {
    const std::int64_t list = args.list(row + r, part);
#pragma unroll
    for (int c = 0; c < kAcross; ++c) {
      for (unsigned waiting = __ballot_sync(kAllLanes, sums[r][c] < farthest[r]); waiting != 0;
           waiting &= waiting - 1) {
        const int source = __ffs(static_cast<int>(waiting)) - 1;
        const float square = __shfl_sync(kAllLanes, sums[r][c], source);
        if (!(square < farthest[r])) continue;
        insert(args.lists, list, square, static_cast<std::int32_t>(first + c * kWarp + source),
               lane);
        farthest[r] = args.lists.bounds[(list + 1) * args.lists.width - 1];
      }
    }
  }
}

// A block has kRows rows and a part of the table, whose lists none else touches.
__global__ void __launch_bounds__(kBlockSize, kBlocksTogether)
    nearest_by_differences_kernel(NearestByDifferencesArgs args, int bits) {
  __shared__ Tile tile;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const std::uint32_t part = blockIdx.y;
  const auto last = static_cast<std::uint32_t>(args.part_begin(part + 1));
  for (std::uint32_t top = blockIdx.x * kRows; top < args.rows; top += gridDim.x * kRows) {
    const std::int64_t row = std::int64_t{top} + warp * kUp;
    float farthest[kUp];
#pragma unroll
    for (int r = 0; r < kUp; ++r) {
      farthest[r] = row + r < args.rows ? INFINITY : -INFINITY;  // lists are empty before
    }
    for (auto first = static_cast<std::uint32_t>(args.part_begin(part)); first < last;
         first += kColumns) {
      float sums[kUp][kAcross] = {};
      for (std::int64_t depth_begin = 0; depth_begin < args.dim; depth_begin += kDepth) {
        __syncthreads();  // the tile before is done with
        fetch(tile, args, top, first, last, depth_begin, bits);
        __syncthreads();
        const std::int64_t left = args.dim - depth_begin;
        add(sums, tile, left < kDepth ? static_cast<int>(left) : kDepth, warp, lane);
      }
      bool near = false;
#pragma unroll
      for (int r = 0; r < kUp; ++r) {
#pragma unroll
        for (int c = 0; c < kAcross; ++c) near |= sums[r][c] < farthest[r];
      }
      if (__any_sync(kAllLanes, near)) join(args, sums, farthest, row, part, first, lane);
    }
  }
}

// So many bits as number the coordinates of a tile.
int depth_bits(std::int64_t dim) {
  int bits = 0;
  while (bits < kDepthBits && (std::int64_t{1} << bits) < dim) ++bits;
  return bits;
}

}  // namespace

void nearest_by_differences(const NearestByDifferencesArgs& args, void* stream) {
  if (args.rows == 0 || args.n == 0) return;
  const dim3 blocks(blocks_for(args.rows, kRows), static_cast<unsigned>(args.parts));
  nearest_by_differences_kernel<<<blocks, kBlockSize, 0, as_stream(stream)>>>(args,
                                                                              depth_bits(args.dim));
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
