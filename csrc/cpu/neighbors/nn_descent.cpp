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

FPD_MULTIVERSION void row_distances(const Points& points, std::int32_t own,
                                    const std::int32_t* others, std::int64_t count,
                                    float* distances) {
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

FPD_MULTIVERSION void gather_newcomers(const NeighborList& list, const std::int32_t* others,
                                       const float* distances, std::int64_t count,
                                       Newcomers& newcomers) {
  newcomers.gather(list, others, distances, count);
}

// Someone who lists a point, and whether since the last round.
struct Follower {
  std::int32_t point;
  bool fresh;

  static constexpr std::int32_t kNone = -1;
  static std::int32_t pack(std::int64_t point, bool fresh) {
    return static_cast<std::int32_t>(fresh ? point : -2 - point);
  }
  static Follower unpack(std::int32_t packed) {
    return packed >= 0 ? Follower{packed, true} : Follower{-2 - packed, false};
  }
};

bool is_fresh(std::uint8_t found_in, int round) { return found_in + 1 >= round; }

// Distinct candidates of a point, but for some that return after another took their slot. The point
// itself is never one.
class Candidates {
 public:
  explicit Candidates(std::int64_t most) : points_(most + 1), seen_(kSlots) {}

  void start(std::int32_t own) {
    std::fill(seen_.begin(), seen_.end(), -1);
    count_ = 0;
    own_ = own;
  }
  void rule_out(std::int32_t point) { seen_[slot(point)] = point; }
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

// The neighbours of a point's neighbours and followers that no earlier round compared with it.
class Explorer {
 public:
  explicit Explorer(const DescentArgs& args)
      : args_(args), lists_(args.lists), forward_(std::min(args.reach, args.lists.width)) {}

  std::int64_t most() const { return args_.reach + (args_.reach + forward_) * forward_; }

  void explore(std::int32_t point, Candidates& candidates) const {
    const std::int32_t* own = lists_.indices + point * lists_.width;
    const std::int32_t* followers = args_.reverse + point * args_.reach;
    ask_for(own, followers);
    candidates.start(point);
    for (std::int64_t j = 0; j < lists_.width && own[j] >= 0; ++j) candidates.rule_out(own[j]);
    for (std::int64_t j = 0; j < args_.reach && followers[j] != Follower::kNone; ++j) {
      const Follower follower = Follower::unpack(followers[j]);
      candidates.add(follower.point, follower.fresh);
      look_through(follower.point, follower.fresh, candidates);
    }
    const std::uint8_t* rounds = lists_.rounds + point * lists_.width;
    for (std::int64_t j = 0; j < forward_ && own[j] >= 0; ++j) {
      look_through(own[j], is_fresh(rounds[j], args_.round), candidates);
    }
  }

 private:
  void look_through(std::int32_t bridge, bool fresh, Candidates& candidates) const {
    const std::int32_t* indices = lists_.indices + bridge * lists_.width;
    const std::uint8_t* rounds = lists_.rounds + bridge * lists_.width;
    for (std::int64_t j = 0; j < forward_ && indices[j] >= 0; ++j) {
      candidates.add(indices[j], fresh || is_fresh(rounds[j], args_.round));
    }
  }

  void ask_for(const std::int32_t* own, const std::int32_t* followers) const {
    for (std::int64_t j = 0; j < forward_; ++j) prefetch_bridge(own[j]);
    for (std::int64_t j = 0; j < args_.reach; ++j) {
      prefetch_bridge(Follower::unpack(followers[j]).point);
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
    std::fill(args.reverse + begin * args.reach, args.reverse + end * args.reach, Follower::kNone);
    std::vector<std::int32_t> filled(end - begin, 0);
    for (std::int64_t j = 0; j < width; ++j) {
      for (std::int64_t from = 0; from < args.n; ++from) {
        const std::int32_t to = args.lists.indices[from * width + j];
        if (to < begin || to >= end || filled[to - begin] >= args.reach) continue;
        const bool fresh = is_fresh(args.lists.rounds[from * width + j], args.round);
        args.reverse[to * args.reach + filled[to - begin]++] = Follower::pack(from, fresh);
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
                 Candidates candidates(explorer.most());
                 Newcomers newcomers(explorer.most());
                 std::vector<float> distances(explorer.most());
                 for (std::int64_t i = begin; i < end; ++i) {
                   const auto point = static_cast<std::int32_t>(args.first + i);
                   const NeighborList list = list_of(lists, i);
                   explorer.explore(point, candidates);
                   row_distances(args.points, point, candidates.points(), candidates.count(),
                                 distances.data());
                   gather_newcomers(list, candidates.points(), distances.data(), candidates.count(),
                                    newcomers);
                   newcomers.join(list, round);
                 }
               });
  copy.write_back(args.first);
  return std::count(copy.rounds.begin(), copy.rounds.end(), round);
}

}  // namespace fpd::cpu
