#include "ops/neighbors/sparse_rows.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/neighbors/candidates.h"
#include "cpu/neighbors/top_k.h"
#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kQueriesPerPiece = 8;
constexpr std::int64_t kRowsPerPiece = 64;

// Adds to each row's score what the columns that it shares with the query change.
void add_overlaps(const SparseNearestArgs& args, std::int64_t point, float* scores) {
  const SparseRows& query_rows = args.query_rows;
  const SparseRows& by_column = args.by_column;
  visit_metric(args.metric, 2.0f, args.dim, [&](const auto& distance) FPD_INLINE_LAMBDA {
    const float sign = distance.finish(1.0f, 0.0f) < distance.finish(0.0f, 0.0f) ? -1.0f : 1.0f;
    for (std::int64_t i = query_rows.indptr[point]; i < query_rows.indptr[point + 1]; ++i) {
      const std::int64_t column = query_rows.columns[i];
      const float x = query_rows.values[i];
      for (std::int64_t j = by_column.indptr[column]; j < by_column.indptr[column + 1]; ++j) {
        scores[by_column.columns[j]] += sign * overlap(distance, x, by_column.values[j]);
      }
    }
  });
}

// A query with a place for each column.
class DenseQuery {
 public:
  DenseQuery(const SparseRerankArgs& args)
      : rows_(args.rows), query_rows_(args.query_rows), values_(args.dim), met_(args.dim) {}

  template <typename DistanceType>
  void set(const DistanceType& distance, std::int64_t point) {
    alone_ = 0.0;
    size_ = 0;
    begin_ = query_rows_.indptr[point];
    end_ = query_rows_.indptr[point + 1];
    for (std::int64_t i = begin_; i < end_; ++i) {
      const float x = query_rows_.values[i];
      float alone = 0.0f, norm = 0.0f;
      distance.add(alone, norm, x, 0.0f);
      alone_ += alone;
      size_ += x != 0.0f;
      values_[query_rows_.columns[i]] = x;
    }
  }

  void clear() {
    for (std::int64_t i = begin_; i < end_; ++i) values_[query_rows_.columns[i]] = 0.0f;
  }

  template <typename DistanceType>
  FPD_INLINE float to(const DistanceType& distance, std::int64_t row) {
    if constexpr (DistanceType::is_sum) return by_rest(distance, row);
    return by_union(distance, row);
  }

 private:
  // The row's coordinates, and what the query's sum has beside them.
  template <typename DistanceType>
  FPD_INLINE float by_rest(const DistanceType& distance, std::int64_t row) const {
    SparseSums sums[kLanes];
    const float* values = values_.data();
    std::int64_t i = rows_.indptr[row];
    const std::int64_t last = rows_.indptr[row + 1];
    for (; i + kLanes <= last; i += kLanes) {
      for (std::int64_t l = 0; l < kLanes; ++l) {
        sums[l].add(distance, values[rows_.columns[i + l]], rows_.values[i + l]);
      }
    }
    for (std::int64_t l = 0; i + l < last; ++l) {
      sums[l].add(distance, values[rows_.columns[i + l]], rows_.values[i + l]);
    }
    for (std::int64_t l = 1; l < kLanes; ++l) {
      sums[0].here += sums[l].here;
      sums[0].taken += sums[l].taken;
      sums[0].hits += sums[l].hits;
    }
    return sums[0].finish(distance, alone_, size_);
  }

  // The row's coordinates, then those that the query has alone.
  template <typename DistanceType>
  FPD_INLINE float by_union(const DistanceType& distance, std::int64_t row) {
    float sums[kLanes] = {}, norms[kLanes] = {};
    ++pair_;
    const std::int64_t first = rows_.indptr[row], last = rows_.indptr[row + 1];
    for (std::int64_t i = first; i < last; ++i) {
      const std::int32_t column = rows_.columns[i];
      const std::int64_t l = (i - first) % kLanes;
      distance.add(sums[l], norms[l], values_[column], rows_.values[i]);
      met_[column] = pair_;
    }
    for (std::int64_t i = begin_; i < end_; ++i) {
      if (met_[query_rows_.columns[i]] == pair_) continue;
      const std::int64_t l = (i - begin_) % kLanes;
      distance.add(sums[l], norms[l], query_rows_.values[i], 0.0f);
    }
    for (std::int64_t l = 1; l < kLanes; ++l) {
      distance.merge(sums[0], norms[0], sums[l], norms[l]);
    }
    return distance.finish(sums[0], norms[0]);
  }

  SparseRows rows_;
  SparseRows query_rows_;
  std::vector<float> values_;
  std::vector<std::int64_t> met_;  // the last pair in which a row had the column
  std::int64_t pair_ = 0;
  std::int64_t begin_ = 0, end_ = 0;
  double alone_ = 0.0;
  std::int32_t size_ = 0;
};

FPD_INLINE void true_distances(const SparseRerankArgs& args, std::int32_t point, DenseQuery& query,
                               std::vector<Candidate>& found) {
  visit_metric(args.metric, args.p, args.dim, [&](const auto& distance) FPD_INLINE_LAMBDA {
    query.set(distance, point);
    for (Candidate& candidate : found) candidate.first = query.to(distance, candidate.second);
    query.clear();
  });
}

// The candidates of a row once each: neighbours of neighbours repeat one another.
void list_candidates(const SparseRerankArgs& args, std::int64_t row, std::vector<Candidate>& list) {
  list.clear();
  const std::int32_t itself = args.itself == nullptr ? -1 : args.itself[row];
  for (std::int64_t j = 0; j < args.count; ++j) {
    const std::int32_t other = args.candidates[row * args.count + j];
    if (other >= 0 && other != itself) list.emplace_back(0.0f, other);
  }
  if (!std::is_sorted(list.begin(), list.end())) std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

}  // namespace

void sparse_nearest(const SparseNearestArgs& args, int threads) {
  parallel_for(args.queries, kQueriesPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> scores(args.n);
    TopK top_k(args.count);
    for (std::int64_t query = begin; query < end; ++query) {
      std::copy(args.alone, args.alone + args.n, scores.begin());
      top_k.clear();
      add_overlaps(args, args.points[query], scores.data());
      for (std::int64_t i = 0; i < args.n; ++i) {
        top_k.push(scores[i], static_cast<std::int32_t>(i));
      }
      const std::vector<Candidate>& found = top_k.sorted();
      for (std::int64_t j = 0; j < args.count; ++j) {
        args.indices[query * args.count + j] = found[j].second;
      }
    }
  });
}

void sparse_rerank(const SparseRerankArgs& args, int threads) {
  parallel_for(args.queries, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    DenseQuery query(args);
    std::vector<Candidate> found;
    found.reserve(args.count);
    for (std::int64_t row = begin; row < end; ++row) {
      list_candidates(args, row, found);
      at_simd_level<true_distances>(args, args.points[row], query, found);
      write_nearest(found, args.k, args.indices + row * args.k, args.distances + row * args.k);
    }
  });
}

}  // namespace fpd::cpu
