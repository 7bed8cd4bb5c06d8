// Blocks of rows compared by products, as the operations that find nearest rows use them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/support/gemm.h"
#include "ops/neighbors/nearest_by_products.h"

namespace fpd::cpu {

static_assert(kProductBlock % kPanelRows == 0, "a block is whole panels");
static_assert(kProductBlock <= kPanelColumns, "a block is one matrix of columns");

// Some rows of a table: a block, or a panel of it.
struct RowBlock {
  std::int64_t first;
  std::int64_t size;
  const float* values;  // columns kProductBlock apart, kPanelRows in a panel of its own
  const float* norms;

  static RowBlock of(const ProductTable& table, std::int64_t i) {
    const std::int64_t first = i * kProductBlock;
    return {first, std::min(kProductBlock, table.n - first), table.block(i), table.norms + first};
  }
  RowBlock panel(std::int64_t from) const {
    return {first + from, std::min(kPanelRows, size - from), values + from, norms + from};
  }
};

// Whose lists a comparison of a table's own rows updates.
enum class Updates { both, rows_excluding_self };

// Columns of up to kPanelRows rows, `stride` apart, and their squared norms. As many values from
// `ahead` on are asked for meanwhile.
void pack_panel(const PlainRows& plain, const Rows& rows, std::int64_t size, float* values,
                std::int64_t stride, float* norms, const float* ahead);

// What rows of one part and another bring to each other's lists.
void search_block(const ProductLists& lists, const RowBlock& rows, const RowBlock& columns,
                  std::int64_t dim, Updates updates);

// What a panel of its own brings to the lists of queries, which are those from `list` on.
void search_block(const ProductLists& lists, std::int64_t list, const RowBlock& rows,
                  const RowBlock& queries, std::int64_t dim);

// The `width` smallest of keys, in order: -1 and infinity where there are fewer. Keys change
// places.
void write_smallest(std::uint64_t* keys, std::int64_t size, std::int64_t width,
                    std::int32_t* indices, float* squares);

}  // namespace fpd::cpu
