#include <cuda_pipeline.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "cuda/neighbors/candidate_lists.cuh"
#include "cuda/neighbors/tensor_core.cuh"
#include "cuda/neighbors/warpgroup_search.cuh"
#include "cuda/support/launch.cuh"
#include "cuda/support/tensor_map.h"
#include "ops/neighbors/nearest_by_cosines.h"

namespace fpd::cuda {
namespace {

constexpr int kWarps = kBlockSize / kWarp;
constexpr int kDepth = 16;                  // columns of units in one instruction
constexpr int kHeight = 16;                 // rows, of which a lane has two, kHeight / 2 apart
constexpr int kWidth = 8;                   // columns of the data, of which a lane has two
constexpr int kUp = 2, kAcross = 8;         // products of a warp
constexpr int kRows = kUp * kHeight;        // of a warp
constexpr int kColumns = kAcross * kWidth;  // of a tile, for all warps
constexpr int kBlockRows = kWarps * kRows;
constexpr int kStages = 2;  // tiles in shared memory: one comes while one is used
constexpr int kPerLane = kUp * 2 * kAcross * 2;  // bounds

static_assert(kPerLane == 64, "a lane's bounds are marked in one word of 64 bits");
static_assert(kDepth == 2 * kUnitColumns, "units are filled up by at most one copy");

// A tile's units in shared memory, each one copy longer than it is, so that eight of them lie in
// different banks, and its norms.
template <int steps>
struct Tile {
  std::uint16_t units[kColumns][steps * kDepth + kUnitColumns];
  float norms[kColumns];
};

template <int steps>
struct Shared {
  Tile<steps> tiles[kStages];
  float near[kWarps][kPerLane][kWarp];  // bounds that may join a list
};

// Bytes of shared memory of a multiprocessor, one KB of which each block takes beside its own.
#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ == 900 || __CUDA_ARCH__ == 1000)
constexpr std::size_t kSharedMemory = 228 * 1024;
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 800
constexpr std::size_t kSharedMemory = 164 * 1024;
#else
constexpr std::size_t kSharedMemory = 100 * 1024;
#endif

// Blocks of a multiprocessor: two where its memory and, without spills, its registers are enough.
template <int steps>
constexpr int blocks_together() {
  return steps <= 4 && 2 * (sizeof(Shared<steps>) + 1024) <= kSharedMemory ? 2 : 1;
}

// Starts the copy of a tile. What is beyond the columns or their units becomes zero, with infinite
// norms.
template <int steps>
__device__ void fetch(Tile<steps>& tile, const NearestByCosinesArgs& args, std::int64_t first) {
  constexpr int copies = steps * kDepth / kUnitColumns;
  constexpr int bytes = kUnitColumns * sizeof(std::uint16_t);
#pragma unroll 1  // unrolled, its addresses would take registers that products need
  for (int i = static_cast<int>(threadIdx.x); i < kColumns * copies; i += kBlockSize) {
    const int column = i / copies, d = i % copies * static_cast<int>(kUnitColumns);
    const bool there = first + column < args.columns && d < args.dim;
    const std::int64_t from = there ? (first + column) * args.dim + d : 0;
    __pipeline_memcpy_async(&tile.units[column][d], args.column_units + from, bytes,
                            there ? 0 : bytes);
  }
  for (int i = static_cast<int>(threadIdx.x); i < kColumns; i += kBlockSize) {
    if (first + i < args.columns) {
      __pipeline_memcpy_async(&tile.norms[i], args.norms + first + i, sizeof(float));
    } else {
      tile.norms[i] = INFINITY;
    }
  }
  __pipeline_commit();
}

// The rows of a warp: their units and norms in registers, as the left of its products.
template <int steps>
struct WarpRows {
  std::int32_t first;
  std::uint32_t units[kUp][steps][4];
  float norms[kUp * 2];     // of the lane's rows
  float farthest[kUp * 2];  // bounds in their lists

  // The lane's rows are g, g + 8, g + 16, ...
  __device__ std::int32_t row(int i, int lane) const {
    return first + i * (kHeight / 2) + lane / 4;
  }

  __device__ WarpRows(const NearestByCosinesArgs& args, std::int32_t first_row, int lane)
      : first(first_row) {
#pragma unroll
    for (int i = 0; i < kUp * 2; ++i) {
      const bool there = row(i, lane) < args.lists.rows;
      norms[i] = there ? args.lists.row_norms[row(i, lane)] : 0.0f;
#pragma unroll
      for (int step = 0; step < steps; ++step) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int d = step * kDepth + half * kWidth + lane % 4 * 2;
          const std::uint16_t* const from = args.units + std::int64_t{row(i, lane)} * args.dim + d;
          units[i / 2][step][half * 2 + i % 2] =
              there && d < args.dim ? *reinterpret_cast<const std::uint32_t*>(from) : 0u;
        }
      }
    }
    look(args.lists, lane);
  }

  __device__ void look(const CandidateLists& lists, int lane) {
#pragma unroll
    for (int i = 0; i < kUp * 2; ++i) {
      const bool there = row(i, lane) < lists.rows;
      farthest[i] = there ? lists.bounds[(row(i, lane) + 1) * lists.width - 1] : -INFINITY;
    }
  }

  __device__ void multiply(float (&cosines)[kUp][kAcross][4], const Tile<steps>& tile,
                           int lane) const {
#pragma unroll
    for (int step = 0; step < steps; ++step) {
#pragma unroll
      for (int n = 0; n < kAcross; n += 2) {
        std::uint32_t right[4];
        const int column = (n + lane / 16) * kWidth + lane % 8;
        load_matrices(right, &tile.units[column][step * kDepth + lane / 8 % 2 * kWidth]);
#pragma unroll
        for (int m = 0; m < kUp; ++m) {
          multiply_add(cosines[m][n], units[m][step], right[0], right[1]);
          multiply_add(cosines[m][n + 1], units[m][step], right[2], right[3]);
        }
      }
    }
  }

  // Keeps the bounds below the farthest of their row's list, and marks them.
  __device__ unsigned long long select(const float (&cosines)[kUp][kAcross][4],
                                       const Tile<steps>& tile, float slack,
                                       float (&near)[kPerLane][kWarp], int lane) const {
    unsigned long long marks = 0;
#pragma unroll
    for (int n = 0; n < kAcross; ++n) {
      const float2 column_norms =
          *reinterpret_cast<const float2*>(&tile.norms[n * kWidth + lane % 4 * 2]);
#pragma unroll
      for (int i = 0; i < kUp * 2; ++i) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const float bound =
              squared_distance_bound(norms[i], e == 0 ? column_norms.x : column_norms.y,
                                     cosines[i / 2][n][i % 2 * 2 + e], slack);
          const int mark = (i * kAcross + n) * 2 + e;
          if (bound < farthest[i]) {
            near[mark][lane] = bound;
            marks |= 1ull << mark;
          }
        }
      }
    }
    return marks;
  }

  // Lets what is marked join the lists, one after the other.
  __device__ void join(const CandidateLists& lists, std::int64_t first_column,
                       unsigned long long own_marks, const float (&near)[kPerLane][kWarp],
                       int lane) const {
    for (unsigned waiting = __ballot_sync(kAllLanes, own_marks != 0); waiting != 0;
         waiting &= waiting - 1) {
      const int source = __ffs(static_cast<int>(waiting)) - 1;
      for (unsigned long long marks = __shfl_sync(kAllLanes, own_marks, source); marks != 0;
           marks &= marks - 1) {
        const int mark = __ffsll(static_cast<long long>(marks)) - 1;
        const int e = mark % 2, n = mark / 2 % kAcross, i = mark / 2 / kAcross;
        const std::int64_t column = first_column + n * kWidth + source % 4 * 2 + e;
        insert(lists, row(i, source), near[mark][source], static_cast<std::int32_t>(column), lane);
      }
    }
  }
};

// A warp has kRows rows, whose lists none else touches; the block's warps share tiles of columns.
template <int steps>
__global__ void __launch_bounds__(kBlockSize, blocks_together<steps>())
    nearest_by_cosines_kernel(NearestByCosinesArgs args) {
  extern __shared__ uint4 memory[];
  auto& shared = *reinterpret_cast<Shared<steps>*>(memory);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  auto& near = shared.near[warp];
  for (std::int64_t top = std::int64_t{blockIdx.x} * kBlockRows; top < args.lists.rows;
       top += std::int64_t{gridDim.x} * kBlockRows) {
    WarpRows<steps> rows(args, static_cast<std::int32_t>(top) + warp * kRows, lane);
    __syncthreads();  // the tiles of the rows before are done with
    fetch(shared.tiles[0], args, 0);
    for (std::uint32_t first = 0; first < args.columns; first += kColumns) {
      const Tile<steps>& tile = shared.tiles[first / kColumns % kStages];
      __pipeline_wait_prior(0);
      __syncthreads();  // this tile is there, and the one before is done with
      if (first + kColumns < args.columns) {
        fetch(shared.tiles[(first / kColumns + 1) % kStages], args, first + kColumns);
      }
      float cosines[kUp][kAcross][4] = {};
      rows.multiply(cosines, tile, lane);
      const unsigned long long marks = rows.select(cosines, tile, args.slack, near, lane);
      if (!__any_sync(kAllLanes, marks != 0)) continue;
      __syncwarp();
      rows.join(args.lists, args.first_column + first, marks, near, lane);
      rows.look(args.lists, lane);
    }
  }
}

template <int steps>
void launch(const NearestByCosinesArgs& args, void* stream) {
  constexpr std::size_t bytes = sizeof(Shared<steps>);
  static_assert(bytes <= 99 * 1024, "what a block of any device may have");
  allow_shared_memory(nearest_by_cosines_kernel<steps>, bytes);
  nearest_by_cosines_kernel<steps>
      <<<blocks_for(args.lists.rows, kBlockRows), kBlockSize, bytes, as_stream(stream)>>>(args);
  FPD_CUDA_CHECK(cudaGetLastError());
}

void launch_by_width(const NearestByCosinesArgs& args, void* stream) {
  switch ((args.dim + kDepth - 1) / kDepth) {
    case 1: return launch<1>(args, stream);
    case 2: return launch<2>(args, stream);
    case 3: return launch<3>(args, stream);
    case 4: return launch<4>(args, stream);
    case 5: return launch<5>(args, stream);
    case 6: return launch<6>(args, stream);
    case 7: return launch<7>(args, stream);
    case 8: return launch<8>(args, stream);
    default:
      throw std::runtime_error("mma takes no units of " + std::to_string(args.dim) + " columns");
  }
}

void launch_warpgroups(const NearestByCosinesArgs& args, void* stream) {
  const TensorMap row_map =
      half_matrix_map(args.units, args.lists.rows, args.dim, kSearchRows, kSliceColumns);
  const TensorMap column_map =
      half_matrix_map(args.column_units, args.columns, args.dim, kProductColumns, kSliceColumns);
  allow_shared_memory(warpgroup_search_kernel, kSearchBytes);
  const auto blocks = static_cast<unsigned>((args.lists.rows + kSearchRows - 1) / kSearchRows);
  warpgroup_search_kernel<<<blocks, kSearchThreads, kSearchBytes, as_stream(stream)>>>(
      args, row_map, column_map);
  FPD_CUDA_CHECK(cudaGetLastError());
}

// The one place that says which chips multiply by warpgroups: those of compute capability 9.0, by
// code that was built for sm_90a.
bool has_warpgroups() {
  int device = 0, major = 0, minor = 0;
  FPD_CUDA_CHECK(cudaGetDevice(&device));
  FPD_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  FPD_CUDA_CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
  return FPD_SM_90A && major == 9 && minor == 0;
}

}  // namespace

std::int64_t most_unit_columns(ProductEngine engine) {
  if (engine != ProductEngine::mma && has_warpgroups()) return kMostUnitColumns;
  return engine == ProductEngine::wgmma ? 0 : kMaxUnitColumns;
}

void nearest_by_cosines(const NearestByCosinesArgs& args, void* stream) {
  if (args.lists.rows == 0 || args.columns == 0) return;
  if (args.engine != ProductEngine::mma && has_warpgroups()) return launch_warpgroups(args, stream);
  if (args.engine == ProductEngine::wgmma) throw std::runtime_error("the device has no wgmma");
  launch_by_width(args, stream);
}

}  // namespace fpd::cuda
