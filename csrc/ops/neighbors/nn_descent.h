// Approximate nearest neighbours by squared Euclidean distance. Random-projection trees put close
// points side by side; the points of a leaf are compared all with all; rounds of neighbour descent
// then compare each point with the neighbours of its neighbours. Every list has one writer, and
// what others read of it does not change meanwhile, so results are the same for any threads.
#pragma once

#include <cstdint>

namespace fpd {

struct Points {
  const float* rows;  // (n, stride), zeros beyond a point's coordinates
  std::int64_t n;
  std::int64_t stride;  // a multiple of 16
  std::int64_t dim;
};

// A node of a tree of n points is a piece of its order: node i of 2^level begins at i n / 2^level.
struct TreeShape {
  std::int64_t n;
  int depth;

  static TreeShape of(std::int64_t n, std::int64_t leaf) {
    int depth = 0;
    while (((n - 1) >> depth) + 1 > leaf) ++depth;
    return {n, depth};
  }
  std::int64_t leaves() const { return std::int64_t{1} << depth; }
  std::int64_t begin(std::int64_t node, int level) const { return (node * n) >> level; }
};

struct ForestArgs {
  std::int32_t* orders;  // (trees, n) out, the points of each tree leaf by leaf
  Points points;
  std::int64_t trees;
  std::int64_t first_tree;  // numbers the trees of one seed
  std::int64_t leaf;        // most points of a leaf
  std::uint64_t seed;
};

// The nearest found so far of each point, ascending by distance.
struct NeighborLists {
  std::int32_t* indices;  // (n, width), -1 where empty
  float* distances;       // (n, width), squared; infinite where empty
  std::uint8_t* rounds;   // (n, width), the round that found each; 0 for leaves
  std::int64_t width;
};

struct LeafJoinArgs {
  NeighborLists lists;  // in and out
  Points points;
  const std::int32_t* order;  // (n,) of one tree
  std::int64_t leaf;
};

struct ReverseArgs {
  std::int32_t*
      reverse;  // (n, max_candidates) out: who lists a point, those that rank it first; -1 spare
  NeighborLists lists;
  std::int64_t n;
  std::int64_t max_candidates;
  int round;
};

struct DescentArgs {
  NeighborLists lists;  // in and out for points first ... last
  Points points;
  const std::int32_t* reverse;  // (n, max_candidates)
  std::int64_t max_candidates;  // how many of a list are looked at
  std::int64_t first;
  std::int64_t last;
  int round;  // from 1 to 255
};

struct ProjectArgs {
  float* out;          // (n, stride), (row - mean) * scale times the basis
  const float* X;      // (n, dim)
  float scale;         // a power of two
  const float* mean;   // (dim,)
  const float* basis;  // (dim, stride)
  std::int64_t n;
  std::int64_t dim;
  std::int64_t stride;
};

namespace cpu {
void project_rows(const ProjectArgs& args, int threads);
void build_forest(const ForestArgs& args, int threads);
void join_leaves(const LeafJoinArgs& args, int threads);
void reverse_lists(const ReverseArgs& args, int threads);
// Returns how many entries of lists are new.
std::int64_t nn_descent(const DescentArgs& args, int threads);
}  // namespace cpu

}  // namespace fpd
