// Rows of a table picked by index, any dtype: rows are moved as bytes.
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

namespace cpu {
void gather_rows(const GatherRowsArgs& args, int threads);
}
namespace cuda {
void gather_rows(const GatherRowsArgs& args, void* stream);
}

}  // namespace fpd
