// Rows of a table picked by index, any dtype: rows are moved as bytes. And the way back for their
// gradients, which are added up.
#pragma once

#include <cstdint>

namespace fpd {

struct GatherRowsArgs {
  std::uint8_t* out;            // (m, row_bytes) out
  const std::uint8_t* table;    // (n, row_bytes)
  const std::int32_t* indices;  // (m,) within [0, n)
  std::int64_t m;
  std::int64_t row_bytes;
};

struct ScatterAddArgs {
  float* out;                   // (n, dim) out
  const float* rows;            // (m, dim)
  const std::int32_t* indices;  // (m,) within [0, n)
  std::int64_t n;
  std::int64_t m;
  std::int64_t dim;
};

namespace cpu {
void gather_rows(const GatherRowsArgs& args, int threads);
// Only the CPU embeds a point once that a batch has several times.
void scatter_add(const ScatterAddArgs& args);
}  // namespace cpu
namespace cuda {
void gather_rows(const GatherRowsArgs& args, void* stream);
}

}  // namespace fpd
