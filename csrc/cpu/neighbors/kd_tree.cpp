#include "ops/neighbors/kd_tree.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "cpu/neighbors/distance_key.h"
#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

static_assert(kLeafRows == kLanes, "the rows of a leaf are the lanes of a loop");
constexpr std::int64_t kGroupsPerPiece = 4;
constexpr std::int64_t kRoom = 16;  // of a list beyond its width, half as much for long ones
constexpr std::int64_t kTogether = 4;
constexpr std::int64_t kAhead = 256;    // floats of a node that are asked for
constexpr std::int64_t kMaxNodes = 96;  // that wait: one a level, of fewer than 2^31 rows
constexpr float kNone = -1.0f;          // a bound that no distance is below

// Rows that are searched for together, in lanes, and their lists.
class Group {
 public:
  Group(std::int64_t dim, std::int64_t width)
      : width_(width),
        capacity_(width + std::max(kRoom, width / 2)),
        columns_(dim * kLanes),
        keys_(kLanes * capacity_) {}

  // Takes `size` rows whose columns lie side by side, `stride` apart, as those of a leaf.
  void start(const float* columns, std::int64_t stride, std::int64_t dim, std::int64_t size) {
    std::fill_n(bounds, kLanes, kNone);
    std::fill_n(bounds, size, std::numeric_limits<float>::infinity());
    std::fill_n(sizes_, kLanes, 0);
    for (std::int64_t c = 0; c < dim; ++c) {
      for (std::int64_t l = 0; l < kLanes; ++l) {
        columns_[c * kLanes + l] = columns[c * stride + (l < size ? l : 0)];
      }
    }
  }

  const float* columns() const { return columns_.data(); }

  void add(std::int64_t lane, float distance, std::int32_t index) {
    std::uint64_t* const keys = list(lane);
    keys[sizes_[lane]++] = distance_key(distance, index);
    if (sizes_[lane] == capacity_) shorten(lane);
  }

  // Writes the list of a row, ascending.
  void read(std::int64_t lane, std::int32_t* indices) {
    std::uint64_t* const keys = list(lane);
    if (sizes_[lane] > width_) shorten(lane);
    std::sort(keys, keys + sizes_[lane]);
    std::fill_n(indices, width_, -1);
    for (std::int64_t j = 0; j < sizes_[lane]; ++j) indices[j] = index_of(keys[j]);
  }

  float bounds[kLanes];  // that a distance has to be below

 private:
  std::uint64_t* list(std::int64_t lane) { return keys_.data() + lane * capacity_; }

  void shorten(std::int64_t lane) {
    std::uint64_t* const keys = list(lane);
    std::nth_element(keys, keys + width_ - 1, keys + sizes_[lane]);
    sizes_[lane] = width_;
    bounds[lane] = distance_of(keys[width_ - 1]);
  }

  std::int64_t width_, capacity_;
  std::int64_t sizes_[kLanes];
  std::vector<float> columns_;
  std::vector<std::uint64_t> keys_;
};

// Of each row of a group to a box: no row in the box is nearer.
template <typename DistanceType>
FPD_INLINE void distances_to_box(const DistanceType& distance, const float* columns,
                                 const float* low, const float* high, std::int64_t dim,
                                 float* found) {
  float norms[kLanes] = {};
  std::fill_n(found, kLanes, 0.0f);
  for (std::int64_t c = 0; c < dim; ++c) {
    for (std::int64_t l = 0; l < kLanes; ++l) {
      const float x = columns[c * kLanes + l];
      distance.add(found[l], norms[l], x, min_of(max_of(x, low[c]), high[c]));
    }
  }
  for (std::int64_t l = 0; l < kLanes; ++l) found[l] = distance.finish(found[l], norms[l]);
}

// A bit for each lane whose distance is below its bound.
FPD_INLINE std::uint32_t lanes_below(const float* distances, const float* bounds) {
  std::uint32_t bits[kLanes], found = 0;
  for (std::int64_t l = 0; l < kLanes; ++l) bits[l] = distances[l] < bounds[l] ? 1u << l : 0u;
  for (std::int64_t l = 0; l < kLanes; ++l) found |= bits[l];
  return found;
}

// The lowest of some lanes, which is taken out.
FPD_INLINE std::int64_t pop_lane(std::uint32_t& lanes) {
  const std::int64_t lane = __builtin_ctz(lanes);
  lanes &= lanes - 1;
  return lane;
}

// What waits to be looked at, and how far each of the group's rows is from its box.
struct Pending {
  KdNode node;
  float distances[kLanes];
};

template <typename DistanceType>
FPD_INLINE void measure(const KdTree& tree, const DistanceType& distance, const KdNode& node,
                        const Group& group, Pending& pending) {
  pending.node = node;
  distances_to_box(distance, group.columns(), node.low(tree), node.high(tree), tree.dim,
                   pending.distances);
}

// The rows of a leaf join the lists of some of a group's rows, kTogether at a time: each product
// waits for the last.
template <typename DistanceType>
FPD_INLINE std::int64_t scan_leaf(const KdTree& tree, const DistanceType& distance,
                                  std::int64_t leaf, std::uint32_t asking, bool own, Group& group) {
  const std::int64_t size = tree.rows_of(leaf);
  const float* const values = tree.values + leaf * tree.dim * kLeafRows;
  const std::int32_t* const order = tree.order + leaf * kLeafRows;
  std::int64_t count = 0;
  while (asking != 0) {
    std::int64_t lanes[kTogether];
    std::int64_t together = 0;
    for (; together < kTogether && asking != 0; ++together) lanes[together] = pop_lane(asking);
    for (std::int64_t i = together; i < kTogether; ++i) lanes[i] = lanes[0];
    float distances[kTogether][kLanes] = {}, norms[kTogether][kLanes] = {};
    for (std::int64_t c = 0; c < tree.dim; ++c) {
      for (std::int64_t i = 0; i < kTogether; ++i) {
        const float x = group.columns()[c * kLanes + lanes[i]];
        for (std::int64_t l = 0; l < kLanes; ++l) {
          distance.add(distances[i][l], norms[i][l], x, values[c * kLeafRows + l]);
        }
      }
    }
    count += together;
    for (std::int64_t i = 0; i < together; ++i) {
      const std::int64_t lane = lanes[i];
      float bounds[kLanes];
      for (std::int64_t l = 0; l < kLanes; ++l) {
        distances[i][l] = distance.finish(distances[i][l], norms[i][l]);
        bounds[l] = l < size ? group.bounds[lane] : kNone;
      }
      std::uint32_t near = lanes_below(distances[i], bounds);
      if (own) near &= ~(1u << lane);
      while (near != 0) {
        const std::int64_t l = pop_lane(near);
        group.add(lane, distances[i][l], order[l]);
      }
    }
  }
  return count * size;
}

// Asks for what is read of a node: the boxes of its halves, or the rows of a leaf.
FPD_INLINE void prefetch_node(const KdTree& tree, const KdNode& node) {
  const float* const from =
      node.count > 1 ? node.left().low(tree) : tree.values + node.first * tree.dim * kLeafRows;
  const std::int64_t size = std::min(tree.dim * (node.count > 1 ? 4 : kLeafRows), kAhead);
  for (std::int64_t c = 0; c < size; c += kLanes) prefetch(from + c);
}

// Goes down the tree, to the half first that is nearer to most rows of the group. Their own leaf,
// or -1, comes before all.
template <typename DistanceType>
FPD_INLINE std::int64_t walk(const KdNearestArgs& args, const DistanceType& distance,
                             std::int64_t own, Group& group) {
  const KdTree& tree = args.tree;
  Pending stack[kMaxNodes];
  stack[0] = {{0, 0, 0, tree.leaves()}, {}};
  stack[1] = {{0, 0, own, 1}, {}};
  std::int64_t size = own < 0 ? 1 : 2, compared = 0;
  for (bool first = own >= 0; size > 0 && compared <= args.max_compared; first = false) {
    const KdNode node = stack[--size].node;
    const std::uint32_t asking = lanes_below(stack[size].distances, group.bounds);
    if (asking == 0) continue;
    if (node.count == 1) {
      if (node.first == own && !first) continue;
      compared += scan_leaf(tree, distance, node.first, asking, first, group);
      continue;
    }
    Pending &far = stack[size], &near = stack[size + 1];
    measure(tree, distance, node.left(), group, far);
    measure(tree, distance, node.right(), group, near);
    if (__builtin_popcount(lanes_below(far.distances, near.distances)) >=
        __builtin_popcount(lanes_below(near.distances, far.distances))) {
      std::swap(near, far);
    }
    prefetch_node(tree, near.node);
    prefetch_node(tree, far.node);
    size += 2;
  }
  return compared;
}

// Calls f with the Distance of a metric that a tree serves. Squares order as their roots do.
template <typename F>
FPD_INLINE void visit_tree_metric(Metric metric, float p, std::int64_t dim, F&& f) {
  const auto d = static_cast<float>(dim);
  switch (metric) {
    case Metric::manhattan: return f(Distance<Metric::manhattan>{p, d});
    case Metric::chebyshev: return f(Distance<Metric::chebyshev>{p, d});
    case Metric::minkowski: return f(Distance<Metric::minkowski>{p, d});
    default: return f(Distance<Metric::sqeuclidean>{p, d});
  }
}

// The search of one group: a leaf's rows, or a query.
FPD_INLINE void search(const KdNearestArgs& args, std::int64_t i, Group& group) {
  const KdTree& tree = args.tree;
  const std::int64_t dim = tree.dim, own = args.queries != nullptr ? -1 : args.leaves[i];
  if (own < 0) {
    group.start(args.queries + i * dim, 1, dim, 1);
  } else {
    group.start(tree.values + own * dim * kLeafRows, kLeafRows, dim, tree.rows_of(own));
  }
  visit_tree_metric(args.metric, args.p, dim, [&](const auto& distance) FPD_INLINE_LAMBDA {
    args.compared[i] = walk(args, distance, own, group);
  });
}

}  // namespace

void kd_nearest(const KdNearestArgs& args, int threads) {
  const std::int64_t rows = args.queries != nullptr ? 1 : kLeafRows;
  parallel_for(args.count, kGroupsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    Group group(args.tree.dim, args.width);
    for (std::int64_t i = begin; i < end; ++i) {
      at_simd_level<search>(args, i, group);
      for (std::int64_t l = 0; l < rows; ++l) {
        group.read(l, args.indices + (i * rows + l) * args.width);
      }
    }
  });
}

}  // namespace fpd::cpu
