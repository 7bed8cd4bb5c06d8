#include "ops/neighbors/nearest_binary.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/neighbors/top_k.h"
#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kQueriesPerPiece = 4;
constexpr std::int64_t kWordsPerStrip = 1 << 11;  // of packed rows that several queries meet
constexpr std::int64_t kRowsPerStrip = 1 << 10;   // whose distances are held

// Bits set in both of a query and each of some packed rows.
FPD_INLINE void count_shared_bits(const std::uint64_t* query, const std::uint64_t* rows,
                                  std::int64_t width, std::int64_t n, float* shared) {
  for (std::int64_t i = 0; i < n; ++i, rows += width) {
    std::int64_t count = 0;
    for (std::int64_t w = 0; w < width; ++w) count += count_bits(query[w] & rows[w]);
    shared[i] = static_cast<float>(count);
  }
}

void count_packed(const NearestBinaryArgs& args, std::int64_t begin, std::int64_t end,
                  float* shared) {
  const std::int64_t width = args.rows.width;
  const std::int64_t rows = std::max<std::int64_t>(1, kWordsPerStrip / width);
  for (std::int64_t first = 0; first < args.n; first += rows) {
    const std::int64_t some = std::min(args.n - first, rows);
    for (std::int64_t q = begin; q < end; ++q) {
      at_simd_level<count_shared_bits>(args.queries.words + (args.first + q) * width,
                                       args.rows.words + first * width, width, some,
                                       shared + (q - begin) * args.n + first);
    }
  }
}

void count_listed(const NearestBinaryArgs& args, std::int64_t begin, std::int64_t end,
                  float* shared) {
  std::fill(shared, shared + (end - begin) * args.n, 0.0f);
  for (std::int64_t q = begin; q < end; ++q, shared += args.n) {
    const std::int64_t* ends = args.queries.indptr + args.first + q;
    for (std::int64_t i = ends[0]; i < ends[1]; ++i) {
      const std::int64_t column = args.queries.columns[i];
      for (std::int64_t j = args.rows.indptr[column]; j < args.rows.indptr[column + 1]; ++j) {
        shared[args.rows.columns[j]] += 1.0f;
      }
    }
  }
}

FPD_INLINE void distances_of(const NearestBinaryArgs& args, float size, const float* sizes,
                             const float* shared, std::int64_t n, float* distances) {
  visit_binary_metric(args.metric, args.dim, [&](const auto& distance) FPD_INLINE_LAMBDA {
    for (std::int64_t i = 0; i < n; ++i) distances[i] = distance(shared[i], size, sizes[i]);
  });
}

// The k nearest rows of one query, from what it shares with each.
void select(const NearestBinaryArgs& args, std::int64_t q, const float* shared, TopK& top_k) {
  float distances[kRowsPerStrip];
  const std::int64_t itself = args.itself < 0 ? -1 : args.itself + q;
  const float size = args.queries.sizes[args.first + q];
  top_k.clear();
  for (std::int64_t first = 0; first < args.n; first += kRowsPerStrip) {
    const std::int64_t some = std::min(args.n - first, kRowsPerStrip);
    at_simd_level<distances_of>(args, size, args.rows.sizes + first, shared + first, some,
                                distances);
    for (std::int64_t i = 0; i < some; ++i) {
      if (first + i != itself) top_k.push(distances[i], static_cast<std::int32_t>(first + i));
    }
  }
  const std::vector<Candidate>& found = top_k.sorted();
  for (std::int64_t j = 0; j < args.k; ++j) {
    const bool there = j < static_cast<std::int64_t>(found.size());
    args.distances[q * args.k + j] = there ? found[j].first : INFINITY;
    args.indices[q * args.k + j] = there ? found[j].second : -1;
  }
}

}  // namespace

void nearest_binary(const NearestBinaryArgs& args, int threads) {
  parallel_for(args.count, kQueriesPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> shared((end - begin) * args.n);
    TopK top_k(args.k);
    if (args.rows.width > 0) {
      count_packed(args, begin, end, shared.data());
    } else {
      count_listed(args, begin, end, shared.data());
    }
    for (std::int64_t q = begin; q < end; ++q) {
      select(args, q, shared.data() + (q - begin) * args.n, top_k);
    }
  });
}

}  // namespace fpd::cpu
