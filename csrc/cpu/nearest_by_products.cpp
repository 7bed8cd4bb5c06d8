#include "../ops/nearest_by_products.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "distance_key.h"
#include "panels.h"
#include "parallel.h"
#include "simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 64;
constexpr std::int64_t kPiecesPerWorker = 16;
constexpr std::int64_t kPanelsTogether = 3;  // that meet each of several blocks of queries
constexpr std::int64_t kPanelsAhead = 2;     // whose rows are asked for while one is laid out
static_assert(kProductBlock % kPanelRows == 0, "a block is whole panels");
static_assert(kProductBlock <= kPanelColumns, "a block is one matrix of columns");

// Columns of up to kPanelRows rows from `first` on, `stride` apart, and their squared norms.
void pack_panel(const PlainRows& rows, std::int64_t first, std::int64_t size, float* values,
                std::int64_t stride, float* norms) {
  if (size < kPanelRows) {
    for (std::int64_t c = 0; c < rows.dim; ++c) std::fill_n(values + c * stride, kPanelRows, 0.0f);
  }
  transpose(values, stride, {rows.values + first * rows.dim, rows.dim}, size, rows.dim);
  const float* const ahead = rows.values + (first + kPanelsAhead * kPanelRows) * rows.dim;
  center(values, stride, norms, rows.mean, rows.scale, rows.dim, ahead);
  // No bound is above a distance to what is no row.
  std::fill(norms + size, norms + kPanelRows, std::numeric_limits<float>::quiet_NaN());
}

// Adds to a list; its bound afterwards.
inline float push(const ProductLists& lists, std::int64_t list, float square, std::int64_t index) {
  std::uint64_t* const keys = lists.keys + list * lists.capacity;
  std::int32_t& size = lists.sizes[list];
  keys[size++] = distance_key(square, static_cast<std::int32_t>(index));
  if (size == lists.capacity) {
    std::nth_element(keys, keys + lists.width - 1, keys + size);
    size = static_cast<std::int32_t>(lists.width);
    lists.bounds[list] = distance_of(keys[lists.width - 1]);
  }
  return lists.bounds[list];
}

// Some rows of a table: a block, or a panel of it.
struct Part {
  std::int64_t first;
  std::int64_t size;
  const float* values;  // columns kProductBlock apart, kPanelRows in a panel of its own
  const float* norms;

  static Part block(const ProductTable& table, std::int64_t i) {
    const std::int64_t first = i * kProductBlock;
    return {first, std::min(kProductBlock, table.n - first), table.block(i), table.norms + first};
  }
  Part panel(std::int64_t from) const {
    return {first + from, std::min(kPanelRows, size - from), values + from, norms + from};
  }
};

// Whose lists a comparison of a table's own rows fills.
enum class Fills { both, rows_but_themselves };

// What the products (columns, kPanelRows) of a panel of rows bring to the lists of both.
FPD_MULTIVERSION void take_in(const ProductLists& lists, const Part& rows, const Part& columns,
                              Fills fills, float* products) {
  float norms[kPanelRows], bounds[kPanelRows];
  std::copy_n(rows.norms, kPanelRows, norms);
  std::fill_n(bounds, kPanelRows, -1.0f);
  std::copy_n(lists.bounds + rows.first, rows.size, bounds);
  for (std::int64_t c = 0; c < columns.size; ++c) {
    float* const squares = products + c * kPanelRows;
    const std::int64_t column = columns.first + c;
    const float norm = columns.norms[c];
    float bound = fills == Fills::both ? lists.bounds[column] : -1.0f;
    std::int32_t near = 0;
    for (std::int64_t l = 0; l < kPanelRows; ++l) {
      squares[l] = squared_distance(norms[l], norm, squares[l]);
      near |= (squares[l] <= bounds[l]) | (squares[l] <= bound);
    }
    if (near == 0) continue;
    for (std::int64_t l = 0; l < rows.size; ++l) {
      if (squares[l] <= bound) bound = push(lists, column, squares[l], rows.first + l);
      if (!(squares[l] <= bounds[l])) continue;
      if (fills == Fills::rows_but_themselves && rows.first + l == column) continue;
      bounds[l] = push(lists, rows.first + l, squares[l], column);
    }
  }
}

// What they bring to the lists of columns that are queries, from `list` on.
FPD_MULTIVERSION void take_in(const ProductLists& lists, std::int64_t list, const Part& rows,
                              const Part& queries, float* products) {
  float norms[kPanelRows];
  std::copy_n(rows.norms, kPanelRows, norms);
  for (std::int64_t q = 0; q < queries.size; ++q) {
    float* const squares = products + q * kPanelRows;
    const float norm = queries.norms[q];
    float bound = lists.bounds[list + q];
    std::int32_t near = 0;
    for (std::int64_t l = 0; l < kPanelRows; ++l) {
      squares[l] = squared_distance(norms[l], norm, squares[l]);
      near |= squares[l] <= bound;
    }
    if (near == 0) continue;
    for (std::int64_t l = 0; l < rows.size; ++l) {
      if (squares[l] <= bound) bound = push(lists, list + q, squares[l], rows.first + l);
    }
  }
}

// Columns of a part's first rows, one after the other: a product reads them again and again.
void copy_panel(const float* from, std::int64_t depth, float* panel) {
  for (std::int64_t d = 0; d < depth; ++d) {
    std::memcpy(panel + d * kPanelRows, from + d * kProductBlock, kPanelRows * sizeof(float));
  }
}

void compare(const ProductLists& lists, const Part& rows, const Part& columns, std::int64_t dim,
             Fills fills) {
  alignas(64) float panel[kPanelDepth * kPanelRows];
  alignas(64) float products[kProductBlock * kPanelRows];
  for (std::int64_t from = 0; from < rows.size; from += kPanelRows) {
    const Part taken = rows.panel(from);
    std::fill_n(products, kProductBlock * kPanelRows, 0.0f);
    for (std::int64_t first = 0; first < dim; first += kPanelDepth) {
      const std::int64_t offset = first * kProductBlock, depth = std::min(kPanelDepth, dim - first);
      copy_panel(taken.values + offset, depth, panel);
      add_product(products, panel, columns.values + offset, kProductBlock, depth, kProductBlock);
    }
    take_in(lists, taken, columns, fills, products);
  }
}

// The same for a panel of its own and queries, whose lists are those from `list` on.
void compare(const ProductLists& lists, std::int64_t list, const Part& rows, const Part& queries,
             std::int64_t dim) {
  alignas(64) float products[kProductBlock * kPanelRows];
  std::fill_n(products, queries.size * kPanelRows, 0.0f);
  for (std::int64_t first = 0; first < dim; first += kPanelDepth) {
    add_product(products, rows.values + first * kPanelRows, queries.values + first * kProductBlock,
                kProductBlock, std::min(kPanelDepth, dim - first), queries.size);
  }
  take_in(lists, list, rows, queries, products);
}

}  // namespace

void pack_rows(const PackRowsArgs& args, int threads) {
  const ProductTable& table = args.table;
  parallel_for(table.blocks(), 1, threads, [&](std::int64_t block, std::int64_t) {
    for (std::int64_t from = 0; from < kProductBlock; from += kPanelRows) {
      const std::int64_t first = block * kProductBlock + from;
      const std::int64_t size = std::clamp<std::int64_t>(table.n - first, 0, kPanelRows);
      pack_panel(args.rows, first, size, table.block(block) + from, kProductBlock,
                 table.norms + first);
    }
  });
}

void nearest_pairs(const NearestPairsArgs& args, int threads) {
  const ProductTable& table = args.table;
  const BlockPairs pairs{table.blocks()};
  for (std::int64_t round = args.first_round; round < args.last_round; ++round) {
    parallel_for(pairs.size(round), 1, threads, [&](std::int64_t i, std::int64_t) {
      const BlockPairs::Pair pair = pairs.at(round, i);
      if (!pairs.holds(pair)) return;
      const Part rows = Part::block(table, pair.first), columns = Part::block(table, pair.second);
      const Fills fills = round == 0 ? Fills::rows_but_themselves : Fills::both;
      compare(args.lists, rows, columns, table.dim, fills);
    });
  }
}

void nearest_to_queries(const NearestToQueriesArgs& args, int threads) {
  const ProductTable& queries = args.queries;
  const std::int64_t dim = queries.dim, together = queries.blocks() > 1 ? kPanelsTogether : 1;
  const auto take = [&](std::int64_t part, std::int64_t begin, std::int64_t end) {
    const std::unique_ptr<float[]> values(new float[together * kPanelRows * dim]);
    alignas(64) float norms[kPanelsTogether * kPanelRows];
    Part panels[kPanelsTogether];
    for (std::int64_t first = args.first + begin; first < args.first + end;) {
      std::int64_t count = 0;
      for (; count < together && first < args.first + end; ++count, first += kPanelRows) {
        const std::int64_t size = std::min(kPanelRows, args.first + end - first);
        float* const panel = values.get() + count * kPanelRows * dim;
        panels[count] = {first, size, panel, norms + count * kPanelRows};
        pack_panel(args.rows, first, size, panel, kPanelRows, norms + count * kPanelRows);
      }
      for (std::int64_t block = 0; block < queries.blocks(); ++block) {
        const Part asked = Part::block(queries, block);
        const std::int64_t list = part * queries.blocks() * kProductBlock + asked.first;
        for (std::int64_t i = 0; i < count; ++i) {
          compare(args.lists, list, panels[i], asked, dim);
        }
      }
    }
  };
  const std::int64_t rows = args.last - args.first, least = together * kPanelRows;
  const std::int64_t pieces = kPiecesPerWorker * args.parts;
  const std::int64_t grain = least * std::max<std::int64_t>(1, rows / (least * pieces));
  parallel_for_workers(rows, grain, args.parts, threads, take);
}

void read_lists(const ReadListsArgs& args, int threads) {
  const ProductLists& lists = args.lists;
  parallel_for(args.rows, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::uint64_t> found;
    for (std::int64_t row = begin; row < end; ++row) {
      found.clear();
      for (std::int64_t part = 0; part < args.parts; ++part) {
        const std::int64_t list = part * blocks_of(args.rows) * kProductBlock + row;
        const std::uint64_t* keys = lists.keys + list * lists.capacity;
        found.insert(found.end(), keys, keys + lists.sizes[list]);
      }
      const auto count = std::min(lists.width, static_cast<std::int64_t>(found.size()));
      std::nth_element(found.begin(), found.begin() + count, found.end());
      std::sort(found.begin(), found.begin() + count);
      std::int32_t* const indices = args.indices + row * lists.width;
      float* const squares = args.squares + row * lists.width;
      std::fill_n(indices, lists.width, -1);
      std::fill_n(squares, lists.width, INFINITY);
      for (std::int64_t j = 0; j < count; ++j) {
        indices[j] = index_of(found[j]);
        squares[j] = distance_of(found[j]);
      }
    }
  });
}

}  // namespace fpd::cpu
