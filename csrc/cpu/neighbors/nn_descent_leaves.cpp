#include <algorithm>
#include <vector>

#include "cpu/neighbors/neighbor_list.h"
#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"
#include "math/neighbors/distance.h"
#include "ops/neighbors/nn_descent.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kQueries = 4;  // rows that share the loads of a block

// The points of a leaf twice: row by row, and kLanes points side by side in a block.
struct Leaf {
  std::vector<float> rows;       // (points, stride)
  std::vector<float> blocks;     // (blocks, dim, kLanes)
  std::vector<float> distances;  // (kQueries, blocks kLanes)
  std::int64_t count = 0;
  std::int64_t padded_count = 0;
};

void fill(const Points& points, const std::int32_t* ids, std::int64_t count, Leaf& leaf) {
  leaf.count = count;
  leaf.padded_count = (count + 2 * kLanes - 1) / (2 * kLanes) * (2 * kLanes);
  leaf.rows.assign(leaf.padded_count * points.stride, INFINITY);
  leaf.blocks.resize(leaf.padded_count * points.dim);
  leaf.distances.resize(kQueries * leaf.padded_count);
  for (std::int64_t i = 0; i < count; ++i) {
    std::copy_n(points.rows + ids[i] * points.stride, points.stride,
                leaf.rows.data() + i * points.stride);
  }
  for (std::int64_t b = 0; b < leaf.padded_count / kLanes; ++b) {
    const float* from = leaf.rows.data() + b * kLanes * points.stride;
    float* to = leaf.blocks.data() + b * kLanes * points.dim;
    for (std::int64_t c = 0; c < points.dim; ++c) {
      for (std::int64_t l = 0; l < kLanes; ++l) to[c * kLanes + l] = from[l * points.stride + c];
    }
  }
}

// Squared distances of kQueries rows to all points of a leaf.
FPD_INLINE void query_distances(const Leaf& leaf, const float* queries, std::int64_t stride,
                                std::int64_t dim, float* distances) {
  for (std::int64_t first = 0; first < leaf.padded_count; first += 2 * kLanes) {
    const float* left = leaf.blocks.data() + first * dim;
    const float* right = left + kLanes * dim;
    FloatLanes sums[kQueries][2] = {};
    for (std::int64_t c = 0; c < dim; ++c) {
      FloatLanes a, b;
      load(a, left + c * kLanes);
      load(b, right + c * kLanes);
      for (std::int64_t q = 0; q < kQueries; ++q) {
        const FloatLanes x = queries[q * stride + c] - FloatLanes{};
        add_squared_difference(sums[q][0], a, x);
        add_squared_difference(sums[q][1], b, x);
      }
    }
    for (std::int64_t q = 0; q < kQueries; ++q) {
      float* out = distances + q * leaf.padded_count + first;
      store(out, sums[q][0]);
      store(out + kLanes, sums[q][1]);
    }
  }
}

FPD_INLINE void collect_updates(const NeighborList& list, const std::int32_t* ids,
                                const float* distances, std::int64_t count, ListUpdate& update) {
  update.collect(list, ids, distances, count);
}

}  // namespace

void join_leaves(const LeafJoinArgs& args, int threads) {
  const TreeShape shape = TreeShape::of(args.points.n, args.leaf);
  parallel_for(shape.leaves(), 8, threads, [&](std::int64_t first_leaf, std::int64_t last_leaf) {
    Leaf leaf;
    ListUpdate update(args.leaf);
    for (std::int64_t node = first_leaf; node < last_leaf; ++node) {
      const std::int64_t begin = shape.begin(node, shape.depth);
      const std::int64_t count = shape.begin(node + 1, shape.depth) - begin;
      const std::int32_t* ids = args.order + begin;
      fill(args.points, ids, count, leaf);
      for (std::int64_t i = 0; i < count; i += kQueries) {
        for (std::int64_t q = 0; q < kQueries; ++q) {
          prefetch_list(list_of(args.lists, ids[std::min(count - 1, i + kQueries + q)]));
        }
        at_simd_level<query_distances>(leaf, leaf.rows.data() + i * args.points.stride,
                                       args.points.stride, args.points.dim, leaf.distances.data());
        for (std::int64_t q = 0; q < std::min(kQueries, count - i); ++q) {
          const NeighborList list = list_of(args.lists, ids[i + q]);
          float* distances = leaf.distances.data() + q * leaf.padded_count;
          distances[i + q] = INFINITY;  // to itself
          at_simd_level<collect_updates>(list, ids, distances, count, update);
          update.apply(list, 0);
        }
      }
    }
  });
}

}  // namespace fpd::cpu
