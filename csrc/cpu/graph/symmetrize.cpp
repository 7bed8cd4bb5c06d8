#include "ops/graph/symmetrize.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "cpu/support/parallel.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kChunks = 64;        // of rows, each scattering on its own
constexpr int kMinBucketBits = 11;          // a bucket's rows and edges stay in the second cache
constexpr std::int64_t kMaxBuckets = 1024;  // open write streams of a scatter

struct Entry {
  std::int32_t row;
  std::int32_t column;
  float weight;
};

HeadRange range_of(const SymmetrizeArgs& args) {
  return args.range.last > 0 ? args.range : HeadRange{0, args.n, args.nnz};
}

// Points of a range split into buckets of consecutive ones, and where each chunk of rows writes its
// entries of each bucket of columns.
struct Buckets {
  std::int64_t n;
  HeadRange range;
  int bits = kMinBucketBits;
  std::int64_t count;
  std::int64_t chunk_rows;
  std::vector<std::int64_t> starts;  // (count, kChunks) and the end, bucket after bucket

  Buckets(std::int64_t points, const HeadRange& heads) : n(points), range(heads) {
    const std::int64_t columns = range.last - range.first;
    while ((columns >> bits) >= kMaxBuckets) ++bits;
    count = (columns >> bits) + 1;
    chunk_rows = (n + kChunks - 1) / kChunks;
  }

  // The bucket of a column, `count` or more outside of the range.
  std::uint64_t of(std::int32_t column) const {
    const std::int64_t place = column - range.first;
    return column < range.last ? static_cast<std::uint64_t>(place) >> bits : ~std::uint64_t{0};
  }
  std::int64_t first(std::int64_t bucket) const {
    return std::min(range.last, range.first + (bucket << bits));
  }
  std::int64_t first_row(std::int64_t chunk) const { return std::min(n, chunk * chunk_rows); }
};

struct Scratch {
  std::int64_t* joined_starts;  // (buckets + 1,) where a bucket's joined edges begin
  Entry* entries;               // (nnz,) by bucket of columns, rows ascending
  std::int32_t* tails;          // (2 nnz,) joined edges at the most
  float* weights;               // (2 nnz,)

  Scratch(void* memory, std::int64_t buckets, std::int64_t transposed, std::int64_t forward)
      : joined_starts(static_cast<std::int64_t*>(memory)),
        entries(reinterpret_cast<Entry*>(joined_starts + buckets + 1)),
        tails(reinterpret_cast<std::int32_t*>(entries + transposed)),
        weights(reinterpret_cast<float*>(tails + transposed + forward)) {}
};

Scratch scratch_of(const SymmetrizeArgs& args, const Buckets& buckets, std::int64_t forward) {
  return {args.scratch, buckets.count, buckets.range.transposed, forward};
}

void group_entries(const Csr& graph, Buckets& buckets, Entry* entries, int threads) {
  buckets.starts.assign(buckets.count * kChunks + 1, 0);
  parallel_for(kChunks, 1, threads, [&](std::int64_t chunk, std::int64_t) {
    std::vector<std::int64_t> counts(buckets.count, 0);
    const std::int64_t first = graph.indptr[buckets.first_row(chunk)];
    const std::int64_t last = graph.indptr[buckets.first_row(chunk + 1)];
    for (std::int64_t e = first; e < last; ++e) {
      const std::uint64_t bucket = buckets.of(graph.indices[e]);
      if (bucket < counts.size()) ++counts[bucket];
    }
    for (std::int64_t b = 0; b < buckets.count; ++b) {
      buckets.starts[b * kChunks + chunk] = counts[b];
    }
  });
  std::exclusive_scan(buckets.starts.begin(), buckets.starts.end(), buckets.starts.begin(),
                      std::int64_t{0});
  parallel_for(kChunks, 1, threads, [&](std::int64_t chunk, std::int64_t) {
    std::vector<std::int64_t> next(buckets.count);
    for (std::int64_t b = 0; b < buckets.count; ++b) next[b] = buckets.starts[b * kChunks + chunk];
    for (std::int64_t row = buckets.first_row(chunk); row < buckets.first_row(chunk + 1); ++row) {
      for (std::int64_t e = graph.indptr[row]; e < graph.indptr[row + 1]; ++e) {
        const std::int32_t column = graph.indices[e];
        const std::uint64_t bucket = buckets.of(column);
        if (bucket >= next.size()) continue;
        entries[next[bucket]++] = {static_cast<std::int32_t>(row), column, graph.weights[e]};
      }
    }
  });
}

// Rows of one bucket, sorted by tail.
struct SortedRows {
  std::vector<std::int64_t> indptr;
  std::vector<std::int32_t> indices;
  std::vector<float> weights;

  SortedRows(std::int64_t rows, std::int64_t edges)
      : indptr(rows + 1, 0), indices(edges), weights(edges) {}
  Csr view() const { return {indptr.data(), indices.data(), weights.data()}; }
};

// Entries come with rows ascending, so scattering them by column sorts each transposed row.
SortedRows transposed_rows(const Entry* entries, std::int64_t count, std::int64_t first,
                           std::int64_t rows) {
  SortedRows sorted(rows, count);
  for (std::int64_t e = 0; e < count; ++e) ++sorted.indptr[entries[e].column - first + 1];
  std::partial_sum(sorted.indptr.begin(), sorted.indptr.end(), sorted.indptr.begin());
  std::vector<std::int64_t> next(sorted.indptr.begin(), sorted.indptr.end() - 1);
  for (std::int64_t e = 0; e < count; ++e) {
    const std::int64_t to = next[entries[e].column - first]++;
    sorted.indices[to] = entries[e].row;
    sorted.weights[to] = entries[e].weight;
  }
  return sorted;
}

void check_distinct(const std::vector<std::uint64_t>& keys, std::int64_t row) {
  const auto same = [](std::uint64_t x, std::uint64_t y) { return x >> 32 == y >> 32; };
  const auto twice = std::adjacent_find(keys.begin(), keys.end(), same);
  if (twice == keys.end()) return;
  throw std::invalid_argument("indices must be distinct within a row, but row " +
                              std::to_string(row) + " has " + std::to_string(*twice >> 32) +
                              " more than once");
}

SortedRows forward_rows(const Csr& graph, std::int64_t first, std::int64_t rows) {
  const std::int64_t start = graph.indptr[first];
  SortedRows sorted(rows, graph.indptr[first + rows] - start);
  std::vector<std::uint64_t> keys;  // tail above, bits of the weight below
  for (std::int64_t row = 0; row < rows; ++row) {
    keys.clear();
    for (std::int64_t e = graph.indptr[first + row]; e < graph.indptr[first + row + 1]; ++e) {
      std::uint32_t bits;
      std::memcpy(&bits, &graph.weights[e], sizeof bits);
      keys.push_back((static_cast<std::uint64_t>(graph.indices[e]) << 32) | bits);
    }
    std::sort(keys.begin(), keys.end());
    check_distinct(keys, first + row);
    std::int64_t to = graph.indptr[first + row] - start;
    for (const std::uint64_t key : keys) {
      const std::uint32_t bits = static_cast<std::uint32_t>(key);
      sorted.indices[to] = static_cast<std::int32_t>(key >> 32);
      std::memcpy(&sorted.weights[to++], &bits, sizeof bits);
    }
    sorted.indptr[row + 1] = to;
  }
  return sorted;
}

}  // namespace

std::size_t symmetrize_range_scratch(std::int64_t n, const HeadRange& range, std::int64_t forward) {
  return (Buckets(n, range).count + 1) * sizeof(std::int64_t) + range.transposed * sizeof(Entry) +
         (range.transposed + forward) * (sizeof(std::int32_t) + sizeof(float));
}

std::size_t symmetrize_scratch(std::int64_t n, std::int64_t nnz) {
  return symmetrize_range_scratch(n, {0, n, nnz}, nnz);
}

void symmetrize_plan(const SymmetrizeArgs& args, int threads) {
  Buckets buckets(args.n, range_of(args));
  const std::int64_t begin = buckets.range.first, end = buckets.range.last;
  const std::int64_t before = args.graph.indptr[begin];
  const Scratch scratch = scratch_of(args, buckets, args.graph.indptr[end] - before);
  group_entries(args.graph, buckets, scratch.entries, threads);
  args.indptr[0] = 0;
  parallel_for(buckets.count, 1, threads, [&](std::int64_t bucket, std::int64_t) {
    const std::int64_t first = buckets.first(bucket);
    const std::int64_t rows = buckets.first(bucket + 1) - first;
    const std::int64_t start = buckets.starts[bucket * kChunks];
    const std::int64_t count = buckets.starts[(bucket + 1) * kChunks] - start;
    const SortedRows transposed = transposed_rows(scratch.entries + start, count, first, rows);
    const SortedRows forward = forward_rows(args.graph, first, rows);
    // A bucket has at most as many joined edges as both directions have before it and in it.
    std::int64_t to = args.graph.indptr[first] - before + start;
    scratch.joined_starts[bucket] = to;
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t row_start = to;
      join_row(forward.view(), transposed.view(), row, args.symmetrizer,
               [&](std::int32_t tail, float weight) {
                 scratch.tails[to] = tail;
                 scratch.weights[to++] = weight;
               });
      args.indptr[first - begin + row + 1] = to - row_start;
    }
  });
  std::partial_sum(args.indptr, args.indptr + (end - begin) + 1, args.indptr);
}

void symmetrize_fill(const SymmetrizeArgs& args, int threads) {
  const Buckets buckets(args.n, range_of(args));
  const std::int64_t begin = buckets.range.first, end = buckets.range.last;
  const std::int64_t forward = args.graph.indptr[end] - args.graph.indptr[begin];
  const Scratch scratch = scratch_of(args, buckets, forward);
  parallel_for(buckets.count, 1, threads, [&](std::int64_t bucket, std::int64_t) {
    const std::int64_t first = buckets.first(bucket) - begin;
    const std::int64_t last = buckets.first(bucket + 1) - begin;
    const std::int64_t from = scratch.joined_starts[bucket];
    const std::int64_t to = args.indptr[first];
    const std::int64_t edges = args.indptr[last] - to;
    std::copy_n(scratch.tails + from, edges, args.tails + to);
    std::copy_n(scratch.weights + from, edges, args.weights + to);
    for (std::int64_t row = first; row < last; ++row) {
      std::fill(args.heads + args.indptr[row], args.heads + args.indptr[row + 1],
                static_cast<std::int32_t>(begin + row));
    }
  });
}

}  // namespace fpd::cpu
