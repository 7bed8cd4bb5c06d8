#include "ops/neighbors/nearest_by_differences.h"

#include <algorithm>
#include <vector>

#include "cpu/neighbors/sorted_list.h"
#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 32;  // that meet each block of columns once it is transposed
constexpr std::int64_t kRowsTogether = 4;   // whose sums hide each other's latency

// Squared distances of kRowsTogether rows to kLanes columns, whose coordinates lie side by side.
FPD_INLINE void square(const float* const* rows, const float* columns, std::int64_t dim,
                       float (*squares)[kLanes]) {
  float sums[kRowsTogether][kLanes] = {};
  for (std::int64_t d = 0; d < dim; ++d) {
    for (std::int64_t r = 0; r < kRowsTogether; ++r) {
      for (std::int64_t l = 0; l < kLanes; ++l) {
        add_squared_difference(sums[r][l], rows[r][d], columns[d * kLanes + l]);
      }
    }
  }
  std::copy_n(sums[0], kRowsTogether * kLanes, squares[0]);
}

// Columns from `first` on, transposed in `columns`, join lists of rows begin, ... end - 1.
void join(const NearestByDifferencesArgs& args, std::int64_t part, std::int64_t begin,
          std::int64_t end, std::int64_t first, std::int64_t lanes, const float* columns) {
  const std::int64_t width = args.lists.width;
  float squares[kRowsTogether][kLanes];
  for (std::int64_t row = begin; row < end; row += kRowsTogether) {
    const std::int64_t together = std::min(kRowsTogether, end - row);
    const float* rows[kRowsTogether];
    for (std::int64_t r = 0; r < kRowsTogether; ++r) {
      rows[r] = args.X + args.points[row + std::min(r, together - 1)] * args.dim;
    }
    at_simd_level<square>(rows, columns, args.dim, squares);
    for (std::int64_t r = 0; r < together; ++r) {
      float* const bounds = args.lists.bounds + args.list(row + r, part) * width;
      std::int32_t* const indices = args.lists.indices + args.list(row + r, part) * width;
      for (std::int64_t l = 0; l < lanes; ++l) {
        if (!(squares[r][l] < bounds[width - 1])) continue;
        insert(bounds, indices, width, squares[r][l], static_cast<std::int32_t>(first + l));
      }
    }
  }
}

}  // namespace

void nearest_by_differences(const NearestByDifferencesArgs& args, int threads) {
  parallel_for(args.rows, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> columns(args.dim * kLanes);
    for (std::int64_t part = 0; part < args.parts; ++part) {
      const std::int64_t last = args.part_begin(part + 1);
      for (std::int64_t first = args.part_begin(part); first < last; first += kLanes) {
        const std::int64_t lanes = std::min(kLanes, last - first);
        for (std::int64_t l = 0; l < lanes; ++l) {
          const float* const row = args.X + (first + l) * args.dim;
          for (std::int64_t d = 0; d < args.dim; ++d) columns[d * kLanes + l] = row[d];
        }
        join(args, part, begin, end, first, lanes, columns.data());
      }
    }
  });
}

}  // namespace fpd::cpu
