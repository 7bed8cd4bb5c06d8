#include <algorithm>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

#include "cuda/graph/join_rows.cuh"
#include "cuda/graph/sort_row.cuh"
#include "cuda/support/launch.cuh"
#include "ops/graph/symmetrize.h"

namespace fpd::cuda {
namespace {

// Before 2.7, which CUDA 12.8 brought, DeviceScan counted in 32 bits.
static_assert(CUB_VERSION >= 200700, "symmetrize takes CUDA 12.8 or later");

using Key = std::uint32_t;  // a row or a column, which are not negative

// A row longer than this does not fit into a group's registers.
constexpr std::int64_t kLongestSorted = 16 * kGroupSize;

// Arrays in the scratch, one after the other; of a null scratch, their offsets.
struct Scratch {
  std::int64_t* starts;  // (n + 1,) of the transpose
  Neighbor* forward;     // (nnz,) the graph, columns ascending
  Neighbor* transposed;  // (nnz,) its transpose, the same
  Neighbor* unsorted;    // (nnz,) what is sorted into one of them
  Key* keys;             // (nnz,)
  Key* sorted_keys;      // (nnz,)
  void* temporary;       // of cub
};

template <typename T>
T* take(std::uintptr_t& next, std::int64_t count) {
  const std::uintptr_t address = next;
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
  next += (bytes + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment;
  return reinterpret_cast<T*>(address);
}

Scratch scratch_at(void* memory, std::int64_t n, std::int64_t nnz) {
  std::uintptr_t next = reinterpret_cast<std::uintptr_t>(memory);
  // Braces evaluate from left to right.
  return {take<std::int64_t>(next, n + 1), take<Neighbor>(next, nnz), take<Neighbor>(next, nnz),
          take<Neighbor>(next, nnz),       take<Key>(next, nnz),      take<Key>(next, nnz),
          reinterpret_cast<void*>(next)};
}

// Calls f with a count of 32 bits where they hold it: cub then counts in as many.
template <typename F>
void with_count(std::int64_t count, F&& f) {
  if (count <= INT32_MAX) {
    f(static_cast<std::int32_t>(count));
  } else {
    f(count);
  }
}

// Sorts scratch.unsorted by keys below n; equal ones keep their order. Without `temporary`, only
// says how many bytes of it that takes; so does `running_sums`.
std::size_t sort_by_keys(void* temporary, std::size_t bytes, const Scratch& scratch,
                         const Key* keys, Neighbor* sorted, std::int64_t n, std::int64_t nnz,
                         cudaStream_t stream) {
  int bits = 1;
  while (n >> bits) ++bits;
  with_count(nnz, [&](auto count) {
    FPD_CUDA_CHECK(cub::DeviceRadixSort::SortPairs(temporary, bytes, keys, scratch.sorted_keys,
                                                   scratch.unsorted, sorted, count, 0, bits,
                                                   stream));
  });
  return bytes;
}

std::size_t running_sums(void* temporary, std::size_t bytes, std::int64_t* values, std::int64_t n,
                         cudaStream_t stream) {
  with_count(n, [&](auto count) {
    FPD_CUDA_CHECK(cub::DeviceScan::InclusiveSum(temporary, bytes, values, values, count, stream));
  });
  return bytes;
}

std::size_t temporary_bytes(std::int64_t n, std::int64_t nnz) {
  const std::size_t sort = sort_by_keys(nullptr, 0, Scratch{}, nullptr, nullptr, n, nnz, nullptr);
  return std::max({std::size_t{1}, sort, running_sums(nullptr, 0, nullptr, n, nullptr)});
}

// Writes the transpose's neighbours, which are the rows, in the order of the graph, and the graph's
// own sorted, if rows have at most `per_lane` places in each lane; a group of lanes a row.
template <int per_lane>
__global__ void neighbors_kernel(Csr graph, std::int64_t n, Neighbor* transposed,
                                 Neighbor* forward) {
  for (std::int64_t row = group_index(); row < n; row += group_count()) {
    const std::int64_t start = graph.indptr[row], end = graph.indptr[row + 1];
    Neighbor held[per_lane];
#pragma unroll
    for (int s = 0; s < per_lane; ++s) {
      const std::int64_t e = start + s * kGroupSize + group_lane();
      held[s] = ~Neighbor{0};  // behind all
      if (e >= end) continue;
      const float weight = graph.weights[e];
      held[s] = neighbor_of(graph.indices[e], weight);
      transposed[e] = neighbor_of(static_cast<std::int32_t>(row), weight);
    }
    sort_row(held);
#pragma unroll
    for (int s = 0; s < per_lane; ++s) {
      const std::int64_t e = start + s * kGroupSize + group_lane();
      if (e < end) forward[e] = held[s];
    }
  }
}

// Of longer rows only the transpose's.
template <>
__global__ void neighbors_kernel<0>(Csr graph, std::int64_t n, Neighbor* transposed, Neighbor*) {
  for (std::int64_t row = group_index(); row < n; row += group_count()) {
    const std::int64_t end = graph.indptr[row + 1];
    for (std::int64_t e = graph.indptr[row] + group_lane(); e < end; e += kGroupSize) {
      transposed[e] = neighbor_of(static_cast<std::int32_t>(row), graph.weights[e]);
    }
  }
}

// The sorted transpose turned over again, for a sort in the other direction.
__global__ void turn_kernel(const Key* columns, const Neighbor* transposed, std::int64_t nnz,
                            Key* rows, Neighbor* forward) {
  for (std::int64_t e = thread_index(); e < nnz; e += thread_count()) {
    const Neighbor from = transposed[e];
    rows[e] = static_cast<Key>(index_of(from));
    forward[e] = neighbor_of(static_cast<std::int32_t>(columns[e]), weight_of(from));
  }
}

// Each row starts at the first key that is not below it.
__global__ void starts_kernel(const Key* sorted, std::int64_t nnz, std::int64_t n,
                              std::int64_t* starts) {
  for (std::int64_t row = thread_index(); row <= n; row += thread_count()) {
    std::int64_t low = 0, high = nnz;
    while (low < high) {
      const std::int64_t middle = low + ((high - low) >> 1);
      if (sorted[middle] < static_cast<Key>(row)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    starts[row] = low;
  }
}

__global__ void count_kernel(SymmetrizeArgs args, Sides sides) {
  if (thread_index() == 0) args.indptr[0] = 0;
  join_rows(
      sides, args.n, args.symmetrizer, [](std::int64_t, std::int64_t, const JoinedNeighbor&) {},
      [&](std::int64_t row, std::int64_t edges) { args.indptr[row + 1] = edges; });
}

__global__ void fill_kernel(SymmetrizeArgs args, Sides sides) {
  join_rows(
      sides, args.n, args.symmetrizer,
      [&](std::int64_t row, std::int64_t place, const JoinedNeighbor& edge) {
        const std::int64_t to = args.indptr[row] + place;
        args.heads[to] = static_cast<std::int32_t>(row);
        args.tails[to] = edge.tail;
        args.weights[to] = edge.weight;
      },
      [](std::int64_t, std::int64_t) {});
}

template <int per_lane>
void write_neighbors(const SymmetrizeArgs& args, const Scratch& scratch, cudaStream_t stream) {
  const unsigned blocks = blocks_for(args.n, kBlockSize / kGroupSize);
  neighbors_kernel<per_lane>
      <<<blocks, kBlockSize, 0, stream>>>(args.graph, args.n, scratch.unsorted, scratch.forward);
  FPD_CUDA_CHECK(cudaGetLastError());
}

void write_neighbors(const SymmetrizeArgs& args, const Scratch& scratch, cudaStream_t stream) {
  if (args.longest <= kGroupSize) return write_neighbors<1>(args, scratch, stream);
  if (args.longest <= 2 * kGroupSize) return write_neighbors<2>(args, scratch, stream);
  if (args.longest <= 4 * kGroupSize) return write_neighbors<4>(args, scratch, stream);
  if (args.longest <= 8 * kGroupSize) return write_neighbors<8>(args, scratch, stream);
  if (args.longest <= kLongestSorted) return write_neighbors<16>(args, scratch, stream);
  write_neighbors<0>(args, scratch, stream);
}

Sides sides_of(const SymmetrizeArgs& args, const Scratch& scratch) {
  return {args.graph.indptr, scratch.starts, scratch.forward, scratch.transposed};
}

}  // namespace

std::size_t symmetrize_scratch(std::int64_t n, std::int64_t nnz) {
  if (nnz == 0) return 1;
  const Scratch offsets = scratch_at(nullptr, n, nnz);
  return reinterpret_cast<std::uintptr_t>(offsets.temporary) + temporary_bytes(n, nnz);
}

void symmetrize_plan(const SymmetrizeArgs& args, void* stream) {
  const cudaStream_t on = as_stream(stream);
  if (args.nnz == 0) {
    const std::size_t bytes = static_cast<std::size_t>(args.n + 1) * sizeof(std::int64_t);
    FPD_CUDA_CHECK(cudaMemsetAsync(args.indptr, 0, bytes, on));
    return;
  }
  const Scratch scratch = scratch_at(args.scratch, args.n, args.nnz);
  const std::size_t bytes = temporary_bytes(args.n, args.nnz);
  write_neighbors(args, scratch, on);
  // Rows come ascending, and the sort is stable: so they do in each row of the transpose.
  const Key* columns = reinterpret_cast<const Key*>(args.graph.indices);
  sort_by_keys(scratch.temporary, bytes, scratch, columns, scratch.transposed, args.n, args.nnz,
               on);
  starts_kernel<<<blocks_for(args.n + 1, kBlockSize), kBlockSize, 0, on>>>(
      scratch.sorted_keys, args.nnz, args.n, scratch.starts);
  FPD_CUDA_CHECK(cudaGetLastError());
  if (args.longest > kLongestSorted) {
    turn_kernel<<<blocks_for(args.nnz, kBlockSize), kBlockSize, 0, on>>>(
        scratch.sorted_keys, scratch.transposed, args.nnz, scratch.keys, scratch.unsorted);
    FPD_CUDA_CHECK(cudaGetLastError());
    sort_by_keys(scratch.temporary, bytes, scratch, scratch.keys, scratch.forward, args.n, args.nnz,
                 on);
  }
  count_kernel<<<blocks_for(args.n, kBlockSize / kGroupSize), kBlockSize, 0, on>>>(
      args, sides_of(args, scratch));
  FPD_CUDA_CHECK(cudaGetLastError());
  running_sums(scratch.temporary, bytes, args.indptr + 1, args.n, on);
}

void symmetrize_fill(const SymmetrizeArgs& args, void* stream) {
  if (args.nnz == 0) return;
  const Scratch scratch = scratch_at(args.scratch, args.n, args.nnz);
  fill_kernel<<<blocks_for(args.n, kBlockSize / kGroupSize), kBlockSize, 0, as_stream(stream)>>>(
      args, sides_of(args, scratch));
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
