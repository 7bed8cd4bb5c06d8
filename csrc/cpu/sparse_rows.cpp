#include "../ops/sparse_rows.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "candidates.h"
#include "parallel.h"
#include "simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kQueriesPerPiece = 8;
constexpr std::int64_t kRowsPerPiece = 64;
constexpr std::size_t kLeastPool = 256;

// The smallest of a stream, by (value, index).
class Smallest {
 public:
  explicit Smallest(std::int64_t count)
      : count_(count), room_(std::max(kLeastPool, 4 * static_cast<std::size_t>(count))) {
    pool_.reserve(room_);
  }

  FPD_INLINE void offer(float value, std::int32_t index) {
    value = min_of(value, INFINITY);  // what is not a number has no order
    if (value > bound_) return;
    pool_.emplace_back(value, index);
    if (pool_.size() == room_) cut();
  }

  // Those kept, in order; the next stream starts anew.
  void write(std::int32_t* indices) {
    cut();
    std::sort(pool_.begin(), pool_.end());
    for (std::int64_t j = 0; j < count_; ++j) indices[j] = pool_[j].second;
    pool_.clear();
    bound_ = INFINITY;
  }

 private:
  void cut() {
    if (pool_.size() <= static_cast<std::size_t>(count_)) return;
    std::nth_element(pool_.begin(), pool_.begin() + (count_ - 1), pool_.end());
    pool_.resize(count_);
    bound_ = pool_[count_ - 1].first;
  }

  std::int64_t count_;
  std::size_t room_;
  float bound_ = INFINITY;
  std::vector<Candidate> pool_;
};

// Adds to each row's score what the columns that it shares with the query change.
void add_overlaps(const SparseNearestArgs& args, std::int64_t point, float* scores) {
  const SparseRows& rows = args.rows;
  const SparseRows& by_column = args.by_column;
  visit_metric(args.metric, 2.0f, [&](const auto& distance) FPD_INLINE_LAMBDA {
    const float sign = distance.finish(1.0f, 0.0f) < distance.finish(0.0f, 0.0f) ? -1.0f : 1.0f;
    for (std::int64_t i = rows.indptr[point]; i < rows.indptr[point + 1]; ++i) {
      const std::int64_t column = rows.columns[i];
      const float x = rows.values[i];
      for (std::int64_t j = by_column.indptr[column]; j < by_column.indptr[column + 1]; ++j) {
        scores[by_column.columns[j]] += sign * overlap(distance, x, by_column.values[j]);
      }
    }
  });
}

// A query with a place for each column.
class DenseQuery {
 public:
  DenseQuery(const SparseRows& rows, std::int64_t dim) : rows_(rows), values_(dim) {}

  template <typename DistanceType>
  void set(const DistanceType& distance, std::int64_t point) {
    alone_ = 0.0;
    size_ = 0;
    for (std::int64_t i = rows_.indptr[point]; i < rows_.indptr[point + 1]; ++i) {
      const float x = rows_.values[i];
      float alone = 0.0f, norm = 0.0f;
      distance.add(alone, norm, x, 0.0f);
      alone_ += alone;
      size_ += x != 0.0f;
      values_[rows_.columns[i]] = x;
    }
  }

  void clear(std::int64_t point) {
    for (std::int64_t i = rows_.indptr[point]; i < rows_.indptr[point + 1]; ++i) {
      values_[rows_.columns[i]] = 0.0f;
    }
  }

  template <typename DistanceType>
  FPD_INLINE float to(const DistanceType& distance, std::int64_t row) const {
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

 private:
  SparseRows rows_;
  std::vector<float> values_;
  double alone_ = 0.0;
  std::int32_t size_ = 0;
};

FPD_MULTIVERSION void true_distances(const SparseRerankArgs& args, std::int32_t point,
                                     DenseQuery& query, std::vector<Candidate>& found) {
  visit_metric(args.metric, 2.0f, [&](const auto& distance) FPD_INLINE_LAMBDA {
    query.set(distance, point);
    for (Candidate& candidate : found) candidate.first = query.to(distance, candidate.second);
    query.clear(point);
  });
}

// The candidates of a row once each: neighbours of neighbours repeat one another.
void list_candidates(const SparseRerankArgs& args, std::int64_t row, std::vector<Candidate>& list) {
  list.clear();
  for (std::int64_t j = 0; j < args.count; ++j) {
    const std::int32_t other = args.candidates[row * args.count + j];
    if (other >= 0 && other != args.points[row]) list.emplace_back(0.0f, other);
  }
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

}  // namespace

void sparse_nearest(const SparseNearestArgs& args, int threads) {
  parallel_for(args.queries, kQueriesPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> scores(args.n);
    Smallest smallest(args.count);
    for (std::int64_t query = begin; query < end; ++query) {
      std::copy(args.alone, args.alone + args.n, scores.begin());
      add_overlaps(args, args.points[query], scores.data());
      for (std::int64_t i = 0; i < args.n; ++i) {
        smallest.offer(scores[i], static_cast<std::int32_t>(i));
      }
      smallest.write(args.indices + query * args.count);
    }
  });
}

void sparse_rerank(const SparseRerankArgs& args, int threads) {
  parallel_for(args.queries, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    DenseQuery query(args.rows, args.dim);
    std::vector<Candidate> found;
    found.reserve(args.count);
    for (std::int64_t row = begin; row < end; ++row) {
      list_candidates(args, row, found);
      true_distances(args, args.points[row], query, found);
      write_nearest(found, args.k, args.indices + row * args.k, args.distances + row * args.k);
    }
  });
}

}  // namespace fpd::cpu
