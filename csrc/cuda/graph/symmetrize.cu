#include <algorithm>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

#include "cuda/support/launch.cuh"
#include "ops/graph/symmetrize.h"

namespace fpd::cuda {
namespace {

// Before 2.7, which CUDA 12.8 brought, DeviceScan counted in 32 bits.
static_assert(CUB_VERSION >= 200700, "symmetrize takes CUDA 12.8 or later");

using Key = std::uint64_t;

// An entry of a sparse matrix as a key: the index it is sorted by above, the other one below.
struct KeyFormat {
  int bits;  // of an index

  explicit KeyFormat(std::int64_t n) : bits(1) {
    while (n >> bits) ++bits;
  }
  __device__ Key pack(std::int64_t upper, std::int64_t lower) const {
    return static_cast<Key>(upper) << bits | static_cast<Key>(lower);
  }
  __device__ std::int64_t upper(Key key) const { return static_cast<std::int64_t>(key >> bits); }
  __device__ std::int64_t lower(Key key) const {
    return static_cast<std::int64_t>(key & ((Key{1} << bits) - 1));
  }
};

// The graph or its transpose, rows and columns ascending.
struct Side {
  std::int64_t* starts;  // (n + 1,)
  std::int32_t* indices;
  float* weights;

  Csr view() const { return {starts, indices, weights}; }
};

// Arrays in the scratch, one after the other; of a null scratch, their offsets.
struct Scratch {
  Side forward;
  Side transposed;
  Key* keys;
  Key* sorted;
  void* temporary;  // of cub
};

template <typename T>
T* take(std::uintptr_t& next, std::int64_t count) {
  const std::uintptr_t address = next;
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
  next += (bytes + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment;
  return reinterpret_cast<T*>(address);
}

Side take_side(std::uintptr_t& next, std::int64_t n, std::int64_t nnz) {
  // Braces evaluate from left to right.
  return {take<std::int64_t>(next, n + 1), take<std::int32_t>(next, nnz), take<float>(next, nnz)};
}

Scratch scratch_at(void* memory, std::int64_t n, std::int64_t nnz) {
  std::uintptr_t next = reinterpret_cast<std::uintptr_t>(memory);
  const Side forward = take_side(next, n, nnz), transposed = take_side(next, n, nnz);
  Key* keys = take<Key>(next, nnz);
  Key* sorted = take<Key>(next, nnz);
  return {forward, transposed, keys, sorted, reinterpret_cast<void*>(next)};
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

// Sorts keys by their upper index alone and, being stable, keeps the order of the lower ones.
// Without `temporary`, only says how many bytes of it that takes; so does `running_sums`.
std::size_t sort_keys(void* temporary, std::size_t bytes, const Scratch& scratch,
                      const float* weights, float* sorted_weights, std::int64_t n, std::int64_t nnz,
                      cudaStream_t stream) {
  const KeyFormat format(n);
  with_count(nnz, [&](auto count) {
    FPD_CUDA_CHECK(cub::DeviceRadixSort::SortPairs(temporary, bytes, scratch.keys, scratch.sorted,
                                                   weights, sorted_weights, count, format.bits,
                                                   2 * format.bits, stream));
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
  const std::size_t sort = sort_keys(nullptr, 0, Scratch{}, nullptr, nullptr, n, nnz, nullptr);
  return std::max({std::size_t{1}, sort, running_sums(nullptr, 0, nullptr, n, nullptr)});
}

// Keys by column, in the order of the rows; a group of lanes a row.
__global__ void keys_kernel(Csr graph, std::int64_t n, KeyFormat format, Key* keys) {
  for (std::int64_t row = group_index(); row < n; row += group_count()) {
    const std::int64_t end = graph.indptr[row + 1];
    for (std::int64_t e = graph.indptr[row] + group_lane(); e < end; e += kGroupSize) {
      keys[e] = format.pack(graph.indices[e], row);
    }
  }
}

// Splits sorted keys, and leaves them turned over for the sort in the other direction.
__global__ void split_kernel(const Key* sorted, std::int64_t nnz, KeyFormat format,
                             std::int32_t* indices, Key* turned) {
  for (std::int64_t e = thread_index(); e < nnz; e += thread_count()) {
    const std::int64_t upper = format.upper(sorted[e]), lower = format.lower(sorted[e]);
    indices[e] = static_cast<std::int32_t>(lower);
    turned[e] = format.pack(lower, upper);
  }
}

// Each row starts at the first key that is not below the row's first possible one.
__global__ void starts_kernel(const Key* sorted, std::int64_t nnz, std::int64_t n, KeyFormat format,
                              std::int64_t* starts) {
  for (std::int64_t row = thread_index(); row <= n; row += thread_count()) {
    const Key first = format.pack(row, 0);
    std::int64_t low = 0, high = nnz;
    while (low < high) {
      const std::int64_t middle = low + ((high - low) >> 1);
      if (sorted[middle] < first) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    starts[row] = low;
  }
}

__global__ void count_kernel(SymmetrizeArgs args, Csr forward, Csr transposed) {
  for (std::int64_t row = thread_index(); row < args.n; row += thread_count()) {
    std::int64_t count = 0;
    join_row(forward, transposed, row, args.symmetrizer, [&](std::int32_t, float) { ++count; });
    args.indptr[row + 1] = count;
    if (row == 0) args.indptr[0] = 0;
  }
}

__global__ void fill_kernel(SymmetrizeArgs args, Csr forward, Csr transposed) {
  for (std::int64_t row = thread_index(); row < args.n; row += thread_count()) {
    std::int64_t to = args.indptr[row];
    join_row(forward, transposed, row, args.symmetrizer, [&](std::int32_t tail, float weight) {
      args.heads[to] = static_cast<std::int32_t>(row);
      args.tails[to] = tail;
      args.weights[to++] = weight;
    });
  }
}

// One side from scratch.keys and the weights in their order.
void sort_side(const SymmetrizeArgs& args, const Scratch& scratch, std::size_t bytes,
               const float* weights, const Side& side, cudaStream_t stream) {
  const KeyFormat format(args.n);
  sort_keys(scratch.temporary, bytes, scratch, weights, side.weights, args.n, args.nnz, stream);
  split_kernel<<<blocks_for(args.nnz, kBlockSize), kBlockSize, 0, stream>>>(
      scratch.sorted, args.nnz, format, side.indices, scratch.keys);
  FPD_CUDA_CHECK(cudaGetLastError());
  starts_kernel<<<blocks_for(args.n + 1, kBlockSize), kBlockSize, 0, stream>>>(
      scratch.sorted, args.nnz, args.n, format, side.starts);
  FPD_CUDA_CHECK(cudaGetLastError());
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
  keys_kernel<<<blocks_for(args.n, kBlockSize / kGroupSize), kBlockSize, 0, on>>>(
      args.graph, args.n, KeyFormat(args.n), scratch.keys);
  FPD_CUDA_CHECK(cudaGetLastError());
  sort_side(args, scratch, bytes, args.graph.weights, scratch.transposed, on);
  // The transpose by row, then column: sorted by row again, it is the graph with columns sorted.
  sort_side(args, scratch, bytes, scratch.transposed.weights, scratch.forward, on);
  count_kernel<<<blocks_for(args.n, kBlockSize), kBlockSize, 0, on>>>(args, scratch.forward.view(),
                                                                      scratch.transposed.view());
  FPD_CUDA_CHECK(cudaGetLastError());
  running_sums(scratch.temporary, bytes, args.indptr + 1, args.n, on);
}

void symmetrize_fill(const SymmetrizeArgs& args, void* stream) {
  if (args.nnz == 0) return;
  const Scratch scratch = scratch_at(args.scratch, args.n, args.nnz);
  fill_kernel<<<blocks_for(args.n, kBlockSize), kBlockSize, 0, as_stream(stream)>>>(
      args, scratch.forward.view(), scratch.transposed.view());
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
