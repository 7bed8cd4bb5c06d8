#include "ops/neighbors/nn_descent.h"

#include <algorithm>
#include <vector>

#include "cpu/neighbors/neighbor_list.h"
#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"
#include "math/neighbors/distance.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kPointsPerPiece = 128;
constexpr std::int64_t kAhead = 8;  // rows asked for before their turn

FPD_INLINE void prefetch_row(const Points& points, std::int32_t point) {
  const float* row = points.rows + point * points.stride;
  for (std::int64_t c = 0; c < points.stride; c += kLanes) prefetch(row + c);
}

FPD_INLINE void row_distances(const Points& points, std::int32_t own, const std::int32_t* others,
                              std::int64_t count, float* distances) {
  const float* x = points.rows + own * points.stride;
  for (std::int64_t j = 0; j < count; ++j) {
    if (j + kAhead < count) prefetch_row(points, others[j + kAhead]);
    const float* y = points.rows + others[j] * points.stride;
    FloatLanes sum = {};
    for (std::int64_t c = 0; c < points.stride; c += kLanes) {
      FloatLanes a, b;
      load(a, x + c);
      load(b, y + c);
      add_squared_difference(sum, a, b);
    }
    float sums[kLanes];
    store(sums, sum);
    distances[j] = lane_sum(sums);
  }
}

FPD_INLINE void collect_updates(const NeighborList& list, const std::int32_t* others,
                                const float* distances, std::int64_t count, ListUpdate& update) {
  update.collect(list, others, distances, count);
}

// Someone who lists a point, and whether since the last round.
struct ReverseNeighbor {
  std::int32_t point;
  bool fresh;

  static constexpr std::int32_t kNone = -1;
  static std::int32_t pack(std::int64_t point, bool fresh) {
    return static_cast<std::int32_t>(fresh ? point : -2 - point);
  }
  static ReverseNeighbor unpack(std::int32_t packed) {
    return packed >= 0 ? ReverseNeighbor{packed, true} : ReverseNeighbor{-2 - packed, false};
  }
};

bool is_fresh(std::uint8_t found_in, int round) { return found_in + 1 >= round; }

// Distinct candidates of a point, but for some that return after another took their slot. The point
// itself is never one.
class CandidateSet {
 public:
  explicit CandidateSet(std::int64_t most) : points_(most + 1), seen_(kSlots) {}

  void start(std::int32_t own) {
    std::fill(seen_.begin(), seen_.end(), -1);
    count_ = 0;
    own_ = own;
  }
  void exclude(std::int32_t point) { seen_[slot(point)] = point; }
  void add(std::int32_t point, bool wanted) {
    std::int32_t& seen = seen_[slot(point)];
    wanted &= seen != point && point != own_;
    seen = wanted ? point : seen;
    points_[count_] = point;
    count_ += wanted;
  }
  const std::int32_t* points() const { return points_.data(); }
  std::int64_t count() const { return count_; }

 private:
  static constexpr std::uint32_t kSlots = 2048;
  static std::uint32_t slot(std::int32_t point) {
    return ((static_cast<std::uint32_t>(point) * 0x9E3779B1u) >> 12) % kSlots;
  }

  std::vector<std::int32_t> points_;
  std::vector<std::int32_t> seen_;
  std::int64_t count_ = 0;
  std::int32_t own_ = -1;
};

// The neighbours of a point's neighbours, and of those that list it, that no earlier round
// compared with it.
class Explorer {
 public:
  explicit Explorer(const DescentArgs& args)
      : args_(args),
        lists_(args.lists),
        forward_(std::min(args.max_candidates, args.lists.width)) {}

  std::int64_t capacity() const {
    return args_.max_candidates + (args_.max_candidates + forward_) * forward_;
  }

  void explore(std::int32_t point, CandidateSet& candidates) const {
    const std::int32_t* own = lists_.indices + point * lists_.width;
    const std::int32_t* reverse = args_.reverse + point * args_.max_candidates;
    prefetch_lists(own, reverse);
    candidates.start(point);
    for (std::int64_t j = 0; j < lists_.width && own[j] >= 0; ++j) candidates.exclude(own[j]);
    for (std::int64_t j = 0; j < args_.max_candidates && reverse[j] != ReverseNeighbor::kNone;
         ++j) {
      const ReverseNeighbor neighbor = ReverseNeighbor::unpack(reverse[j]);
      candidates.add(neighbor.point, neighbor.fresh);
      look_through(neighbor.point, neighbor.fresh, candidates);
    }
    const std::uint8_t* rounds = lists_.rounds + point * lists_.width;
    for (std::int64_t j = 0; j < forward_ && own[j] >= 0; ++j) {
      look_through(own[j], is_fresh(rounds[j], args_.round), candidates);
    }
  }

 private:
  void look_through(std::int32_t bridge, bool fresh, CandidateSet& candidates) const {
    const std::int32_t* indices = lists_.indices + bridge * lists_.width;
    const std::uint8_t* rounds = lists_.rounds + bridge * lists_.width;
    for (std::int64_t j = 0; j < forward_ && indices[j] >= 0; ++j) {
      candidates.add(indices[j], fresh || is_fresh(rounds[j], args_.round));
    }
  }

  void prefetch_lists(const std::int32_t* own, const std::int32_t* reverse) const {
    for (std::int64_t j = 0; j < forward_; ++j) prefetch_bridge(own[j]);
    for (std::int64_t j = 0; j < args_.max_candidates; ++j) {
      prefetch_bridge(ReverseNeighbor::unpack(reverse[j]).point);
    }
  }
  void prefetch_bridge(std::int32_t bridge) const {
    const std::int64_t at = std::max(bridge, 0) * lists_.width;
    prefetch(lists_.indices + at);
    prefetch(lists_.rounds + at);
  }

  const DescentArgs& args_;
  const NeighborLists& lists_;
  const std::int64_t forward_;
};

// A copy of some points' lists to work on while others read the lists themselves.
struct ListCopy {
  std::vector<std::int32_t> indices;
  std::vector<float> distances;
  std::vector<std::uint8_t> rounds;
  NeighborLists originals;

  ListCopy(const NeighborLists& lists, std::int64_t first, std::int64_t last)
      : indices(lists.indices + first * lists.width, lists.indices + last * lists.width),
        distances(lists.distances + first * lists.width, lists.distances + last * lists.width),
        rounds(lists.rounds + first * lists.width, lists.rounds + last * lists.width),
        originals(lists) {}

  NeighborLists view() {
    return {indices.data(), distances.data(), rounds.data(), originals.width};
  }
  void write_back(std::int64_t first) const {
    const std::int64_t at = first * originals.width;
    std::copy(indices.begin(), indices.end(), originals.indices + at);
    std::copy(distances.begin(), distances.end(), originals.distances + at);
    std::copy(rounds.begin(), rounds.end(), originals.rounds + at);
  }
};

}  // namespace

void reverse_lists(const ReverseArgs& args, int threads) {
  // Each part reads all lists for the points that are its own, so more parts than threads cost.
  const std::int64_t rows = (args.n + threads - 1) / threads;
  const std::int64_t width = args.lists.width;
  parallel_for(args.n, rows, threads, [&](std::int64_t begin, std::int64_t end) {
    std::fill(args.reverse + begin * args.max_candidates, args.reverse + end * args.max_candidates,
              ReverseNeighbor::kNone);
    std::vector<std::int32_t> filled(end - begin, 0);
    for (std::int64_t j = 0; j < width; ++j) {
      for (std::int64_t from = 0; from < args.n; ++from) {
        const std::int32_t to = args.lists.indices[from * width + j];
        if (to < begin || to >= end || filled[to - begin] >= args.max_candidates) continue;
        const bool fresh = is_fresh(args.lists.rounds[from * width + j], args.round);
        args.reverse[to * args.max_candidates + filled[to - begin]++] =
            ReverseNeighbor::pack(from, fresh);
      }
    }
  });
}

std::int64_t nn_descent(const DescentArgs& args, int threads) {
  ListCopy copy(args.lists, args.first, args.last);
  const NeighborLists lists = copy.view();
  const Explorer explorer(args);
  const auto round = static_cast<std::uint8_t>(args.round);
  parallel_for(args.last - args.first, kPointsPerPiece, threads,
               [&](std::int64_t begin, std::int64_t end) {
                 CandidateSet candidates(explorer.capacity());
                 ListUpdate update(explorer.capacity());
                 std::vector<float> distances(explorer.capacity());
                 for (std::int64_t i = begin; i < end; ++i) {
                   const auto point = static_cast<std::int32_t>(args.first + i);
                   const NeighborList list = list_of(lists, i);
                   explorer.explore(point, candidates);
                   at_simd_level<row_distances>(args.points, point, candidates.points(),
                                                candidates.count(), distances.data());
                   at_simd_level<collect_updates>(list, candidates.points(), distances.data(),
                                                  candidates.count(), update);
                   update.apply(list, round);
                 }
               });
  copy.write_back(args.first);
  return std::count(copy.rounds.begin(), copy.rounds.end(), round);
}

}  // namespace fpd::cpu
