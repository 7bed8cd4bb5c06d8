#include "cpu/neighbors/block_search.h"

#include <cstring>
#include <limits>

#include "cpu/neighbors/distance_key.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

// Adds to a list; its bound afterwards.
inline float push(const ProductLists& lists, std::int64_t list, float square, std::int64_t index) {
  std::uint64_t* const keys = lists.keys + list * lists.capacity;
  std::int32_t& size = lists.sizes[list];
  // Ties are cut by name: where a row stands depends on who has joined a table before it.
  keys[size++] = distance_key(
      square, lists.names == nullptr ? static_cast<std::int32_t>(index) : lists.names[index]);
  if (size == lists.capacity) {
    std::nth_element(keys, keys + lists.width - 1, keys + size);
    size = static_cast<std::int32_t>(lists.width);
    lists.bounds[list] = distance_of(keys[lists.width - 1]);
  }
  return lists.bounds[list];
}

// Calls body(l) for the flags l that are set, in order: a few, where a test of each would be slow.
template <typename Body>
FPD_INLINE void for_each_set(const std::uint8_t (&flags)[kPanelRows], const Body& body) {
  for (std::int64_t first = 0; first < kPanelRows; first += 8) {
    std::uint64_t word;
    std::memcpy(&word, flags + first, sizeof word);
    while (word != 0) {
      std::int64_t place = 0;
#if defined(__GNUC__)
      place = __builtin_ctzll(word) / 8;
#else
      while (((word >> (8 * place)) & 0xFF) == 0) ++place;
#endif
      body(first + place);
      word &= ~(std::uint64_t{0xFF} << (8 * place));
    }
  }
}

// What the products (columns, kPanelRows) of a panel of rows bring to the lists of both.
FPD_INLINE void update_lists(const ProductLists& lists, const RowBlock& rows,
                             const RowBlock& columns, Updates updates, float* products) {
  float norms[kPanelRows], bounds[kPanelRows];
  std::copy_n(rows.norms, kPanelRows, norms);
  std::fill_n(bounds, kPanelRows, -1.0f);
  std::copy_n(lists.bounds + rows.first, rows.size, bounds);
  std::uint8_t near[kPanelRows];
  for (std::int64_t c = 0; c < columns.size; ++c) {
    float* const squares = products + c * kPanelRows;
    const std::int64_t column = columns.first + c;
    const float norm = columns.norms[c];
    float bound = updates == Updates::both ? lists.bounds[column] : -1.0f;
    for (std::int64_t l = 0; l < kPanelRows; ++l) {
      squares[l] = squared_distance(norms[l], norm, squares[l], lists.rounding);
      near[l] = (squares[l] <= bounds[l]) | (squares[l] <= bound);
    }
    for_each_set(near, [&](std::int64_t l) FPD_INLINE_LAMBDA {
      if (squares[l] <= bound) bound = push(lists, column, squares[l], rows.first + l);
      if (!(squares[l] <= bounds[l])) return;
      if (updates == Updates::rows_excluding_self && rows.first + l == column) return;
      bounds[l] = push(lists, rows.first + l, squares[l], column);
    });
  }
}

// What they bring to the lists of columns that are queries, from `list` on.
FPD_INLINE void update_lists_of_queries(const ProductLists& lists, std::int64_t list,
                                        const RowBlock& rows, const RowBlock& queries,
                                        float* products) {
  float norms[kPanelRows];
  std::copy_n(rows.norms, kPanelRows, norms);
  std::uint8_t near[kPanelRows];
  for (std::int64_t q = 0; q < queries.size; ++q) {
    float* const squares = products + q * kPanelRows;
    const float norm = queries.norms[q];
    float bound = lists.bounds[list + q];
    for (std::int64_t l = 0; l < kPanelRows; ++l) {
      squares[l] = squared_distance(norms[l], norm, squares[l]);
      near[l] = squares[l] <= bound;
    }
    for_each_set(near, [&](std::int64_t l) FPD_INLINE_LAMBDA {
      if (squares[l] <= bound) bound = push(lists, list + q, squares[l], rows.first + l);
    });
  }
}

// Columns of a part's first rows, one after the other: a product reads them again and again.
void copy_panel(const float* from, std::int64_t depth, float* panel) {
  for (std::int64_t d = 0; d < depth; ++d) {
    std::memcpy(panel + d * kPanelRows, from + d * kProductBlock, kPanelRows * sizeof(float));
  }
}

}  // namespace

void pack_panel(const PlainRows& plain, const Rows& rows, std::int64_t size, float* values,
                std::int64_t stride, float* norms, const float* ahead) {
  if (size < kPanelRows) {
    for (std::int64_t c = 0; c < plain.dim; ++c) std::fill_n(values + c * stride, kPanelRows, 0.0f);
  }
  transpose(values, stride, rows, size, plain.dim);
  center(values, stride, norms, plain.mean, plain.scale, plain.dim, ahead);
  // No bound is above a distance to what is no row.
  std::fill(norms + size, norms + kPanelRows, std::numeric_limits<float>::quiet_NaN());
}

void search_block(const ProductLists& lists, const RowBlock& rows, const RowBlock& columns,
                  std::int64_t dim, Updates updates) {
  alignas(64) float panel[kPanelDepth * kPanelRows];
  alignas(64) float products[kProductBlock * kPanelRows];
  for (std::int64_t from = 0; from < rows.size; from += kPanelRows) {
    const RowBlock taken = rows.panel(from);
    std::fill_n(products, kProductBlock * kPanelRows, 0.0f);
    for (std::int64_t first = 0; first < dim; first += kPanelDepth) {
      const std::int64_t offset = first * kProductBlock, depth = std::min(kPanelDepth, dim - first);
      copy_panel(taken.values + offset, depth, panel);
      gemm(products, panel, columns.values + offset, kProductBlock, depth, kProductBlock);
    }
    at_simd_level<update_lists>(lists, taken, columns, updates, products);
  }
}

void search_block(const ProductLists& lists, std::int64_t list, const RowBlock& rows,
                  const RowBlock& queries, std::int64_t dim) {
  alignas(64) float products[kProductBlock * kPanelRows];
  std::fill_n(products, queries.size * kPanelRows, 0.0f);
  for (std::int64_t first = 0; first < dim; first += kPanelDepth) {
    gemm(products, rows.values + first * kPanelRows, queries.values + first * kProductBlock,
         kProductBlock, std::min(kPanelDepth, dim - first), queries.size);
  }
  at_simd_level<update_lists_of_queries>(lists, list, rows, queries, products);
}

void write_smallest(std::uint64_t* keys, std::int64_t size, std::int64_t width,
                    std::int32_t* indices, float* squares) {
  const std::int64_t count = std::min(width, size);
  std::nth_element(keys, keys + count, keys + size);
  std::sort(keys, keys + count);
  std::fill_n(indices, width, -1);
  std::fill_n(squares, width, std::numeric_limits<float>::infinity());
  for (std::int64_t j = 0; j < count; ++j) {
    indices[j] = index_of(keys[j]);
    squares[j] = distance_of(keys[j]);
  }
}

}  // namespace fpd::cpu
