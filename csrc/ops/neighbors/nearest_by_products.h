// The rows of a table that are nearest to each of its own rows, or to queries, by squared distances
// from norms and products. Blocks of rows are compared with blocks; of two rows of the table the
// product is taken once, for the lists of both. In a round no block is in two pairs, so that a list
// has one writer, and a list is the smallest of what it was shown whatever the order: the result
// does not depend on the number of threads. For queries a row is read once, so it is not laid out
// beforehand.
#pragma once

#include <cstdint>

#include "math/neighbors/distance_bound.h"

namespace fpd {

constexpr std::int64_t kProductBlock = 160;  // rows
constexpr std::int64_t kWorkerRows = 32;     // that are worth another worker for queries

constexpr std::int64_t blocks_of(std::int64_t rows) {
  return (rows + kProductBlock - 1) / kProductBlock;
}

// Rows of which the columns of kProductBlock lie side by side, filled up with zeros.
struct ProductTable {
  float* values;  // (blocks, dim, kProductBlock)
  float* norms;   // (blocks * kProductBlock,) squared, NaN of what is no row
  std::int64_t n;
  std::int64_t dim;

  std::int64_t blocks() const { return blocks_of(n); }
  float* block(std::int64_t i) const { return values + i * dim * kProductBlock; }
};

// Rows where they lie, each taken as (row - mean) * scale.
struct PlainRows {
  const float* values;  // (n, dim)
  const float* mean;    // (dim,)
  float scale;
  std::int64_t dim;
};

struct PackRowsArgs {
  ProductTable table;  // out
  PlainRows rows;
};

// Lists with room for more than they keep, unsorted.
struct ProductLists {
  std::uint64_t* keys;  // (lists, capacity) of distances and indices
  std::int32_t* sizes;  // (lists,)
  float* bounds;        // (lists,) above which a squared distance cannot be among those kept
  std::int64_t width;   // of what is kept
  std::int64_t capacity;
  float rounding = 0.0f;  // of two squared norms: a square is taken for this share at the least
  const std::int32_t* names = nullptr;  // of the table's rows, where they are not their places
};

// In round 0 each block meets itself, in the others each meets one other block.
struct NearestPairsArgs {
  ProductLists lists;  // one a row
  ProductTable table;
  std::int64_t first_round;
  std::int64_t last_round;  // one past the last
};

// The circle method: one place stays, the others go round. A place too many has no block.
struct BlockPairs {
  std::int64_t blocks;

  struct Pair {
    std::int64_t first, second;
  };

  std::int64_t places() const { return blocks + blocks % 2; }
  std::int64_t size(std::int64_t round) const { return round == 0 ? blocks : places() / 2; }
  Pair at(std::int64_t round, std::int64_t i) const {
    if (round == 0) return {i, i};
    const std::int64_t circle = places() - 1, turn = round - 1;
    if (i == 0) return {turn, circle};
    return {(turn + i) % circle, (turn - i + circle) % circle};
  }
  bool holds(const Pair& pair) const { return pair.first < blocks && pair.second < blocks; }
};

// Rows are packed a few at a time, and what one of `parts` workers packs joins its own lists.
struct NearestToQueriesArgs {
  ProductLists lists;  // (parts, blocks * kProductBlock) of queries
  ProductTable queries;
  PlainRows rows;
  std::int64_t first;
  std::int64_t last;  // one past the last
  std::int64_t parts;
};

struct ReadListsArgs {
  std::int32_t* indices;  // (rows, width) out, ascending by (square, index), -1 where empty
  float* squares;         // (rows, width) out, infinite where empty
  ProductLists lists;     // (parts, blocks * kProductBlock) of rows
  std::int64_t parts;
  std::int64_t rows;
};

namespace cpu {
void pack_rows(const PackRowsArgs& args, int threads);
void nearest_pairs(const NearestPairsArgs& args, int threads);
void nearest_to_queries(const NearestToQueriesArgs& args, int threads);
void read_lists(const ReadListsArgs& args, int threads);
}  // namespace cpu

}  // namespace fpd
