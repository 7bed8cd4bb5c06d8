#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"
#include "math/support/philox.h"
#include "ops/neighbors/nn_descent.h"

namespace fpd::cpu {
namespace {

constexpr int kSharedLevels = 5;  // split node by node; a task takes all of a subtree below

// Keys that order as (projection, point) do.
FPD_INLINE std::uint64_t sort_key(float value, std::int32_t point) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits ^= bits >> 31 != 0 ? 0xFFFFFFFFu : 0x80000000u;
  return (static_cast<std::uint64_t>(bits) << 32) | static_cast<std::uint32_t>(point);
}

FPD_INLINE void project_points(const Points& points, const std::int32_t* ids, std::int64_t count,
                               const float* direction, std::uint64_t* keys) {
  constexpr std::int64_t kAhead = 8;
  for (std::int64_t i = 0; i < count; ++i) {
    if (i + kAhead < count) {
      const float* later = points.rows + ids[i + kAhead] * points.stride;
      for (std::int64_t c = 0; c < points.stride; c += kLanes) prefetch(later + c);
    }
    const float* row = points.rows + ids[i] * points.stride;
    float sums[kLanes] = {};
    for (std::int64_t c = 0; c < points.stride; c += kLanes) {
      for (std::int64_t l = 0; l < kLanes; ++l) sums[l] += row[c + l] * direction[c + l];
    }
    keys[i] = sort_key(lane_sum(sums), ids[i]);
  }
}

class Tree {
 public:
  Tree(const ForestArgs& args, std::int64_t tree)
      : args_(args),
        shape_(TreeShape::of(args.points.n, args.leaf)),
        order_(args.orders + tree * args.points.n),
        number_(args.first_tree + tree) {}

  void split(std::int64_t node, int level, std::vector<std::uint64_t>& keys) const {
    const std::int64_t begin = shape_.begin(node, level);
    const std::int64_t middle = shape_.begin(2 * node + 1, level + 1);
    const std::int64_t count = shape_.begin(node + 1, level) - begin;
    std::vector<float> direction(args_.points.stride);
    pick_direction(node, level, begin, count, direction.data());
    keys.resize(count);
    at_simd_level<project_points>(args_.points, order_ + begin, count, direction.data(),
                                  keys.data());
    std::nth_element(keys.begin(), keys.begin() + (middle - begin), keys.end());
    for (std::int64_t i = 0; i < count; ++i) {
      order_[begin + i] = static_cast<std::int32_t>(keys[i] & 0xFFFFFFFFu);
    }
  }

  void split_below(std::int64_t node, int level, std::vector<std::uint64_t>& keys) const {
    if (level >= shape_.depth) return;
    split(node, level, keys);
    split_below(2 * node, level + 1, keys);
    split_below(2 * node + 1, level + 1, keys);
  }

 private:
  // From one random point of the node to another.
  void pick_direction(std::int64_t node, int level, std::int64_t begin, std::int64_t count,
                      float* direction) const {
    const std::uint64_t step = (std::uint64_t{1} << level) + static_cast<std::uint64_t>(node);
    const PhiloxBits bits = philox(args_.seed, step, static_cast<std::uint32_t>(number_), 0);
    const auto size = static_cast<std::uint64_t>(count);
    const std::uint64_t first = multiply_high(bits.low, size);
    std::uint64_t second = multiply_high(bits.high, size - 1);
    if (second >= first) ++second;
    const float* x = args_.points.rows + order_[begin + first] * args_.points.stride;
    const float* y = args_.points.rows + order_[begin + second] * args_.points.stride;
    for (std::int64_t c = 0; c < args_.points.stride; ++c) direction[c] = x[c] - y[c];
  }

  const ForestArgs& args_;
  TreeShape shape_;
  std::int32_t* order_;
  std::int64_t number_;
};

}  // namespace

void build_forest(const ForestArgs& args, int threads) {
  const TreeShape shape = TreeShape::of(args.points.n, args.leaf);
  for (std::int64_t t = 0; t < args.trees; ++t) {
    std::iota(args.orders + t * args.points.n, args.orders + (t + 1) * args.points.n, 0);
  }
  const int shared = std::min(kSharedLevels, shape.depth);
  for (int level = 0; level <= shared; ++level) {
    const std::int64_t nodes = std::int64_t{1} << level;
    parallel_for(args.trees * nodes, 1, threads, [&](std::int64_t task, std::int64_t) {
      const Tree tree(args, task / nodes);
      std::vector<std::uint64_t> keys;
      if (level < shared) {
        tree.split(task % nodes, level, keys);
      } else {
        tree.split_below(task % nodes, level, keys);
      }
    });
  }
}

}  // namespace fpd::cpu
