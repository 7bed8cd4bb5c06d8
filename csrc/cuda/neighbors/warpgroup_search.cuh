// The search of nearest_by_cosines.h by products of warpgroups, for units of any width.
//
// A block has 256 rows: two warpgroups take products of 128 rows each, and the first thread of a
// third fetches what they multiply. Its columns come in tiles of 128, a tile in slices of 64
// halves, a slice through one of four stages of shared memory:
//
//   stage          full                           empty
//   first thread   expects bytes, starts copies   waits for the phase before the slice's
//   8 warps        wait for the slice's phase     arrive once their products of it are done
//
// Slice i uses stage i % 4 in its phase i / 4, on both barriers. Neither side waits for anything
// else of the other, and both pass the same slices in the same order.
#pragma once

#include "cuda/neighbors/newcomers.cuh"
#include "cuda/neighbors/warpgroup.cuh"
#include "ops/neighbors/nearest_by_cosines.h"

namespace fpd::cuda {

constexpr int kGroupThreads = 128;
constexpr int kGroups = 2;  // of warps that multiply
constexpr int kGroupRows = 2 * kProductRows;
constexpr int kSearchRows = kGroups * kGroupRows;
constexpr int kSearchThreads = (kGroups + 1) * kGroupThreads;
// Of a thread: all have a third of 64 K at first.
constexpr int kFetchingRegisters = 40, kMultiplyingRegisters = 232;
constexpr int kSearchStages = 4;
constexpr int kGroupWarps = kGroupThreads / kWarp;
constexpr int kTestedRows = 4;  // of a lane, eight apart in each of a warp's two times 16
constexpr int kChunks = kProductColumns / 8;
constexpr int kChunkSums = 8;  // of a lane: two columns of each of its rows

struct SearchMemory {
  std::uint16_t rows[kSearchStages][kSearchRows * kSliceColumns];
  std::uint16_t columns[kSearchStages][kProductColumns * kSliceColumns];
  TestedColumn tested[kGroups][2][kProductColumns];  // of one tile and of the next
  Newcomers newcomers[kGroups * kGroupWarps];
  Barrier full[kSearchStages];
  Barrier empty[kSearchStages];
};

constexpr std::size_t kSwizzleAlignment = 1024;
constexpr std::size_t kSearchBytes = sizeof(SearchMemory) + kSwizzleAlignment;
static_assert(kSearchBytes <= 227 * 1024, "what a block may have");
static_assert(sizeof(SearchMemory::rows[0]) % kSwizzleAlignment == 0 &&
                  sizeof(SearchMemory::columns[0]) % kSwizzleAlignment == 0,
              "slices start where the swizzle does");

// The slices of a block in the order in which they are fetched and used.
struct Slices {
  int count;  // of a row
  int tiles;

  __device__ explicit Slices(const NearestByCosinesArgs& args)
      : count(static_cast<int>((args.dim + kSliceColumns - 1) / kSliceColumns)),
        tiles(static_cast<int>((args.columns + kProductColumns - 1) / kProductColumns)) {}

  // Whether all slices of the rows stay, each in the stage's memory where it came first.
  __device__ bool rows_stay() const { return count <= kSearchStages; }
};

struct Place {
  int stage = 0;
  unsigned parity = 0;  // of the phase

  __device__ void advance() {
    if (++stage < kSearchStages) return;
    stage = 0;
    parity ^= 1;
  }
};

#if FPD_WARPGROUPS

__device__ inline void fetch_slices(SearchMemory& memory, const Slices& slices,
                                    const TensorMap& row_map, const TensorMap& column_map,
                                    int first_row) {
  Place place;
  for (int tile = 0; tile < slices.tiles; ++tile) {
    for (int slice = 0; slice < slices.count; ++slice, place.advance()) {
      const bool with_rows = tile == 0 || !slices.rows_stay();
      Barrier& full = memory.full[place.stage];
      wait(memory.empty[place.stage], place.parity ^ 1);
      arrive_expecting(full, sizeof(memory.columns[0]) + (with_rows ? sizeof(memory.rows[0]) : 0));
      const int column = slice * kSliceColumns;
      if (with_rows) fetch_box(memory.rows[place.stage], row_map, column, first_row, full);
      fetch_box(memory.columns[place.stage], column_map, column, tile * kProductColumns, full);
    }
  }
}

// Products of a group's rows with the columns of a tile.
__device__ inline void multiply_tile(float (&sums)[2][kProductSums], SearchMemory& memory,
                                     const Slices& slices, Place& place, int group, int lane) {
  int before = 0;
  for (int slice = 0; slice < slices.count; ++slice) {
    const int rows = slices.rows_stay() ? slice : place.stage;
    wait(memory.full[place.stage], place.parity);
    const std::uint64_t right = matrix_descriptor(shared_address(memory.columns[place.stage]));
    const std::uint64_t left =
        matrix_descriptor(shared_address(memory.rows[rows] + group * kGroupRows * kSliceColumns));
    constexpr int half = kProductRows * kSliceRowBytes / kChunkBytes;
    constexpr int step = kProductDepth * 2 / kChunkBytes;
#pragma unroll
    for (int m = 0; m < 2; ++m) hold(sums[m]);
    begin_products();
#pragma unroll
    for (int k = 0; k < kSliceColumns / kProductDepth; ++k) {
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        multiply(sums[m], left + m * half + k * step, right + k * step, slice + k > 0);
      }
    }
    commit_products();
#pragma unroll
    for (int m = 0; m < 2; ++m) hold(sums[m]);
    if (slice > 0) {  // the products of the slice before are done
      wait_products<1>();
      if (lane == 0) arrive(memory.empty[before]);
    }
    before = place.stage;
    place.advance();
  }
  wait_products<0>();
#pragma unroll
  for (int m = 0; m < 2; ++m) hold(sums[m]);
  if (lane == 0) arrive(memory.empty[before]);
}

// The rows of a warp among those of its block, and the tests of a lane's four.
struct WarpTests {
  std::int64_t first;  // row of the warp's first 16; its others are kProductRows further
  BoundTest tests[kTestedRows];

  // Row 0 to 31 of the warp.
  __device__ std::int64_t row(int i) const { return first + i / 16 * kProductRows + i % 16; }
  __device__ static int tested(int test, int lane) { return test * 8 + lane / 4; }

  __device__ void look(const NearestByCosinesArgs& args, int lane) {
#pragma unroll
    for (int i = 0; i < kTestedRows; ++i) {
      const std::int64_t at = row(tested(i, lane));
      const bool there = at < args.lists.rows;
      const float norm = there ? args.lists.row_norms[at] : 0.0f;
      const float end = there ? args.lists.bounds[(at + 1) * args.lists.width - 1] : -INFINITY;
      tests[i] = BoundTest::of(norm, args.slack, end);
    }
  }

  __device__ bool passes(int i, float cosine, const TestedColumn* columns) const {
    return tests[i / 2].passes(cosine, columns[i % 2]);
  }
};

// The sums of eight columns that a lane has: i is twice the test and the column.
__device__ inline float sum_of(const float (&sums)[2][kProductSums], int chunk, int i) {
  return sums[i / 4][chunk * 4 + i % 4];
}

// The sums of a chunk that pass become newcomers.
__device__ inline void add_newcomers(const NearestByCosinesArgs& args, WarpTests& rows,
                                     const float (&sums)[kChunkSums], const TestedColumn* columns,
                                     std::int64_t first_column, Newcomers& newcomers, int lane) {
  unsigned left = 0;
#pragma unroll
  for (int i = 0; i < kChunkSums; ++i) {
    left |= static_cast<unsigned>(rows.passes(i, sums[i], columns)) << i;
  }
  while (true) {
#pragma unroll
    for (int i = 0; i < kChunkSums; ++i) {
      if ((left >> i & 1) == 0) continue;
      const std::int64_t column = first_column + i % 2;
      const float bound = squared_distance_bound(rows.tests[i / 2].doubled * 0.5f,
                                                 args.norms[column], sums[i], args.slack);
      const auto index = static_cast<std::int32_t>(args.first_column + column);
      if (newcomers.add(WarpTests::tested(i / 2, lane), bound, index)) left &= ~(1u << i);
    }
    if (!__any_sync(kAllLanes, left != 0)) return;
    take_in(newcomers, args.lists, [&](int i) { return rows.row(i); }, lane);
    rows.look(args, lane);
  }
}

// Searches a tile's sums. All are tested at once, and chunks in which a lane found something again.
__device__ inline void search_tile(const NearestByCosinesArgs& args, WarpTests& rows,
                                   const float (&sums)[2][kProductSums], const TestedColumn* tested,
                                   std::int64_t first_column, Newcomers& newcomers, int lane) {
  const TestedColumn* const own = tested + lane % 4 * 2;
  unsigned found = 0;
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    const float4 pair = *reinterpret_cast<const float4*>(own + chunk * 8);
    const TestedColumn columns[] = {{pair.x, pair.y}, {pair.z, pair.w}};
    bool any = false;
#pragma unroll
    for (int i = 0; i < kChunkSums; ++i) any |= rows.passes(i, sum_of(sums, chunk, i), columns);
    found |= static_cast<unsigned>(any) << chunk;
  }
  for (found = __reduce_or_sync(kAllLanes, found); found != 0; found &= found - 1) {
    const int at = __ffs(static_cast<int>(found)) - 1;
    float copied[kChunkSums];
#pragma unroll
    for (int chunk = 0; chunk < kChunks;
         ++chunk) {  // a run-time index would move the sums to memory
      if (chunk != at) continue;
#pragma unroll
      for (int i = 0; i < kChunkSums; ++i) copied[i] = sum_of(sums, chunk, i);
    }
    add_newcomers(args, rows, copied, own + at * 8, first_column + at * 8 + lane % 4 * 2, newcomers,
                  lane);
  }
  __syncwarp();
  if (__any_sync(kAllLanes, newcomers.counts[lane] >= kEnough)) {
    take_in(newcomers, args.lists, [&](int i) { return rows.row(i); }, lane);
    rows.look(args, lane);
  }
}

// What a warp that multiplies does.
__device__ inline void search_columns(const NearestByCosinesArgs& args, SearchMemory& memory,
                                      const Slices& slices, std::int64_t first_row) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp;
  const int group = thread / kGroupThreads, member = thread % kGroupThreads;
  Newcomers& newcomers = memory.newcomers[thread / kWarp];
  newcomers.counts[lane] = 0;
  WarpTests rows;
  rows.first = first_row + group * kGroupRows + member / kWarp * 16;
  rows.look(args, lane);
  __syncwarp();
  Place place;
  for (int tile = 0; tile < slices.tiles; ++tile) {
    const std::int64_t first_column = std::int64_t{tile} * kProductColumns;
    const std::int64_t column = first_column + member;
    TestedColumn* const tested = memory.tested[group][tile % 2];
    tested[member] = TestedColumn::of(column < args.columns ? args.norms[column] : INFINITY);
    float sums[2][kProductSums] = {};
    multiply_tile(sums, memory, slices, place, group, lane);
    meet_warpgroup(1 + group);  // the tested columns are there
    search_tile(args, rows, sums, tested, first_column, newcomers, lane);
  }
  take_in(newcomers, args.lists, [&](int i) { return rows.row(i); }, lane);
}

#endif

static __global__ void __launch_bounds__(kSearchThreads, 1)
    warpgroup_search_kernel(NearestByCosinesArgs args, const __grid_constant__ TensorMap row_map,
                            const __grid_constant__ TensorMap column_map) {
#if FPD_WARPGROUPS
  const std::uint32_t skipped = shared_address(dynamic_memory()) % kSwizzleAlignment;
  auto& memory = *reinterpret_cast<SearchMemory*>(
      static_cast<char*>(dynamic_memory()) + (kSwizzleAlignment - skipped) % kSwizzleAlignment);
  const Slices slices(args);
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kSearchStages; ++stage) {
      init_barrier(memory.full[stage], 1);
      init_barrier(memory.empty[stage], kGroups * kGroupWarps);
    }
    publish_barriers();
  }
  __syncthreads();
  const std::int64_t first_row = std::int64_t{blockIdx.x} * kSearchRows;
  if (threadIdx.x < kGroups * kGroupThreads) {
    take_registers<kMultiplyingRegisters>();
    search_columns(args, memory, slices, first_row);
  } else {
    leave_registers<kFetchingRegisters>();
    if (threadIdx.x != kGroups * kGroupThreads) return;
    fetch_slices(memory, slices, row_map, column_map, static_cast<int>(first_row));
  }
#else
  __trap();
#endif
}

}  // namespace fpd::cuda
