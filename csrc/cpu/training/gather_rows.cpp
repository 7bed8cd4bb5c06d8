#include "ops/training/gather_rows.h"

#include <algorithm>
#include <cstring>

#include "cpu/support/parallel.h"

namespace fpd::cpu {

void gather_rows(const GatherRowsArgs& args, int threads) {
  // Rows of no columns have no address.
  if (args.row_bytes == 0) return;
  constexpr std::int64_t bytes_per_piece = 1 << 18;  // what repays the waking of a thread
  const std::int64_t grain = std::max<std::int64_t>(1, bytes_per_piece / args.row_bytes);
  parallel_for(args.m, grain, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t row = args.indices[i];
      std::memcpy(args.out + i * args.row_bytes, args.table + row * args.row_bytes, args.row_bytes);
    }
  });
}

// In order on one thread: the rows of an embedding are few and short.
void scatter_add(const ScatterAddArgs& args) {
  std::fill_n(args.out, args.n * args.dim, 0.0f);
  for (std::int64_t i = 0; i < args.m; ++i) {
    float* out = args.out + args.indices[i] * args.dim;
    for (std::int64_t c = 0; c < args.dim; ++c) out[c] += args.rows[i * args.dim + c];
  }
}

}  // namespace fpd::cpu
