#include "ops/neighbors/nearest_in_clusters.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <thread>
#include <vector>

#include "cpu/neighbors/block_search.h"
#include "cpu/neighbors/distance_key.h"
#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kLeastRoom = 32;  // of a list beyond its width
constexpr std::int64_t kRowsAhead = 8;   // asked for before they are laid out
constexpr std::size_t kLocks = 4096;

// One lock for many lists. It is held for the time of a merge.
class ListLock {
 public:
  ListLock(std::vector<std::atomic_flag>& locks, std::int64_t row) : lock_(locks[row % kLocks]) {
    while (lock_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
  }
  ~ListLock() { lock_.clear(std::memory_order_release); }
  ListLock(const ListLock&) = delete;
  ListLock& operator=(const ListLock&) = delete;

 private:
  std::atomic_flag& lock_;
};

// Of squared norms. Two rows of another cluster are far from the centre of this one, where products
// cannot tell how close they are: they are taken for no closer than this, and meet in their own.
constexpr float kRounding = 1.0f / (1 << 20);
constexpr std::uint64_t kReplaced = ~std::uint64_t{0};

// Of the keys that were found those that the list of a row lacks, in front; how many they are. A
// pair that met in another cluster has another key there: of two the smaller stays.
FPD_INLINE std::int64_t keep_new(std::uint64_t* own, std::int64_t width, std::int32_t* indices,
                                 std::uint64_t* found, std::int64_t size) {
  for (std::int64_t j = 0; j < width; ++j) indices[j] = index_of(own[j]);
  std::int64_t kept = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    const std::uint64_t key = found[i];
    const std::int32_t index = index_of(key);
    std::int32_t place = -1;
    for (std::int32_t j = 0; j < width; ++j) place = indices[j] == index ? j : place;
    if (place >= 0) {
      if (own[place] <= key) continue;
      own[place] = kReplaced;
    }
    found[kept++] = key;
  }
  return kept;
}

// A cluster's rows side by side and their lists by place in the cluster.
class Cluster {
 public:
  Cluster(const NearestInClustersArgs& args, std::vector<std::atomic_flag>& locks)
      : args_(args),
        locks_(locks),
        capacity_(args.width + std::max(args.width, kLeastRoom)),
        indices_(args.width) {}

  void join(const ClusterTask& task) {
    const std::int64_t* const starts = args_.starts + task.cluster;
    members_ = args_.members + starts[0];
    names_ = args_.names == nullptr ? members_ : args_.names + starts[0];
    // Without names the rows lie in X as they are numbered, else one after the other.
    gathered_ = args_.names == nullptr ? nullptr : args_.X + starts[0] * args_.dim;
    table_.n = starts[1] - starts[0];
    rows_ = {args_.X, args_.centers + task.cluster * args_.dim, args_.scale, args_.dim};
    pack();
    start_lists(task);
    const std::int64_t met = args_.known[task.cluster] / kProductBlock;  // whole blocks
    if (task.first == 0 && task.last == table_.n) {
      compare_all(met);
    } else {
      compare_some(task, met);
    }
    for (std::int64_t i = task.first; i < task.last; ++i) merge(i);
  }

 private:
  void pack() {
    const std::int64_t dim = args_.dim, rows = table_.blocks() * kProductBlock;
    table_.dim = dim;
    if (static_cast<std::int64_t>(norms_.size()) < rows) {
      values_.reset(new float[rows * dim]);
      norms_.resize(rows);
    }
    table_.values = values_.get();
    table_.norms = norms_.data();
    for (std::int64_t first = 0; first < rows; first += kPanelRows) {
      const std::int64_t size = std::clamp<std::int64_t>(table_.n - first, 0, kPanelRows);
      float* const values = table_.block(first / kProductBlock) + first % kProductBlock;
      const Rows from = gathered_ == nullptr ? Rows{args_.X, dim, members_ + first}
                                             : Rows{gathered_ + first * dim, dim};
      const std::int64_t end = std::min(table_.n, first + 2 * kPanelRows);
      for (std::int64_t i = first; i < end; ++i) prefetch_row(i);
      pack_panel(rows_, from, size, values, kProductBlock, table_.norms + first, values);
    }
  }

  void prefetch_row(std::int64_t i) const {
    if (gathered_ != nullptr) return;  // which the processor foresees
    const float* const row = args_.X + members_[i] * args_.dim;
    for (std::int64_t c = 0; c < args_.dim; c += kLanes) prefetch_far(row + c);
  }

  // A list takes only what may join the row's own: others raise no bound, whenever it is read.
  void start_lists(const ClusterTask& task) {
    const auto rows = static_cast<std::size_t>(table_.blocks() * kProductBlock);
    sizes_.assign(rows, 0);
    bounds_.assign(rows, INFINITY);
    keys_.resize(std::max<std::size_t>(keys_.size(), rows * capacity_));
    for (std::int64_t i = task.first; i < task.last; ++i) {
      const std::int64_t row = members_[i];
      const ListLock lock(locks_, row);
      bounds_[i] = distance_of(args_.keys[row * args_.width + args_.width - 1]);
    }
    lists_ = {keys_.data(), sizes_.data(), bounds_.data(), args_.width,
              capacity_,    kRounding,     names_};
  }

  void compare_all(std::int64_t met) const {
    for (std::int64_t i = 0; i < table_.blocks(); ++i) {
      const RowBlock rows = RowBlock::of(table_, i);
      if (i >= met) search_block(lists_, rows, rows, args_.dim, Updates::rows_excluding_self);
      for (std::int64_t j = std::max(i + 1, met); j < table_.blocks(); ++j) {
        search_block(lists_, rows, RowBlock::of(table_, j), args_.dim, Updates::both);
      }
    }
  }

  void compare_some(const ClusterTask& task, std::int64_t met) const {
    for (std::int64_t i = task.first / kProductBlock; i < blocks_of(task.last); ++i) {
      const RowBlock rows = RowBlock::of(table_, i);
      for (std::int64_t j = i < met ? met : 0; j < table_.blocks(); ++j) {
        search_block(lists_, rows, RowBlock::of(table_, j), args_.dim,
                     Updates::rows_excluding_self);
      }
    }
  }

  void merge(std::int64_t i) {
    std::uint64_t* const found = lists_.keys + i * capacity_;
    const std::int64_t row = members_[i], width = args_.width;
    const ListLock lock(locks_, row);
    std::uint64_t* const own = args_.keys + row * width;
    const std::int64_t size =
        at_simd_level<keep_new>(own, width, indices_.data(), found, sizes_[i]);
    if (size == 0) return;
    std::sort(found, found + size);
    old_.assign(own, own + width);
    const auto end = std::remove(old_.begin(), old_.end(), kReplaced);
    auto old = old_.begin();
    for (std::int64_t kept = 0, next = 0; kept < width; ++kept) {
      const bool fresh = old == end || (next < size && found[next] < *old);
      own[kept] = fresh ? found[next++] : *old++;
    }
  }

  const NearestInClustersArgs& args_;
  std::vector<std::atomic_flag>& locks_;
  const std::int64_t capacity_;
  const std::int32_t* members_ = nullptr;
  const std::int32_t* names_ = nullptr;
  const float* gathered_ = nullptr;
  PlainRows rows_{};
  ProductTable table_{};
  ProductLists lists_{};
  std::unique_ptr<float[]> values_;
  std::vector<float> norms_, bounds_;
  std::vector<std::int32_t> sizes_;
  std::vector<std::uint64_t> keys_, old_;
  std::vector<std::int32_t> indices_;  // of a list that is merged
};

}  // namespace

void nearest_in_clusters(const NearestInClustersArgs& args, int threads) {
  std::vector<std::atomic_flag> locks(kLocks);
  for (std::atomic_flag& lock : locks) lock.clear();
  std::atomic<std::int64_t> next{0};
  parallel_for(threads, 1, threads, [&](std::int64_t, std::int64_t) {
    Cluster cluster(args, locks);
    for (std::int64_t i = next++; i < args.count; i = next++) cluster.join(args.tasks[i]);
  });
}

}  // namespace fpd::cpu
