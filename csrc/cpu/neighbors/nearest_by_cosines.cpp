#include "ops/neighbors/nearest_by_cosines.h"

#include <algorithm>
#include <vector>

#include "cpu/neighbors/sorted_list.h"
#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"
#include "math/support/half.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 32;  // that meet each block of columns once it is converted
constexpr std::int64_t kRowsTogether = 4;   // whose sums hide each other's latency
static_assert(kRowsPerPiece % kRowsTogether == 0, "a piece is whole groups");

// Rows of a piece, with zeros for those that are missing.
std::vector<float> piece_of(const NearestByCosinesArgs& args, std::int64_t begin,
                            std::int64_t end) {
  std::vector<float> units(kRowsPerPiece * args.dim);
  for (std::int64_t i = 0; i < (end - begin) * args.dim; ++i) {
    units[i] = half_value(args.units[begin * args.dim + i]);
  }
  return units;
}

// Up to kLanes columns, transposed, with zeros for those that are missing.
struct Block {
  std::vector<float> units;  // (dim, kLanes)
  float norms[kLanes] = {};

  explicit Block(std::int64_t dim) : units(dim * kLanes) {}

  void take(const NearestByCosinesArgs& args, std::int64_t first, std::int64_t lanes) {
    std::copy_n(args.norms + first, lanes, norms);
    if (lanes < kLanes) std::fill(units.begin(), units.end(), 0.0f);
    for (std::int64_t l = 0; l < lanes; ++l) {
      const std::uint16_t* const unit = args.column_units + (first + l) * args.dim;
      for (std::int64_t d = 0; d < args.dim; ++d) units[d * kLanes + l] = half_value(unit[d]);
    }
  }
};

FPD_INLINE void multiply(const float* rows, const float* columns, std::int64_t dim,
                         float (*cosines)[kLanes]) {
  float sums[kRowsTogether][kLanes] = {};
  for (std::int64_t d = 0; d < dim; ++d) {
    for (std::int64_t r = 0; r < kRowsTogether; ++r) {
      for (std::int64_t l = 0; l < kLanes; ++l) {
        sums[r][l] += rows[r * dim + d] * columns[d * kLanes + l];
      }
    }
  }
  std::copy_n(sums[0], kRowsTogether * kLanes, cosines[0]);
}

// Columns from `first` on join the lists of a piece's rows.
void join(const NearestByCosinesArgs& args, const std::vector<float>& piece, Block& block,
          std::int64_t begin, std::int64_t end, std::int64_t first) {
  const std::int64_t lanes = std::min(kLanes, args.columns - first), width = args.lists.width;
  block.take(args, first, lanes);
  float cosines[kRowsTogether][kLanes];
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t at = row - begin, together = at % kRowsTogether;
    if (together == 0) {
      at_simd_level<multiply>(piece.data() + at * args.dim, block.units.data(), args.dim, cosines);
    }
    float* const bounds = args.lists.bounds + row * width;
    std::int32_t* const indices = args.lists.indices + row * width;
    const float row_norm = args.lists.row_norms[row];
    for (std::int64_t l = 0; l < lanes; ++l) {
      const float bound =
          squared_distance_bound(row_norm, block.norms[l], cosines[together][l], args.slack);
      if (!(bound < bounds[width - 1])) continue;
      insert(bounds, indices, width, bound,
             static_cast<std::int32_t>(args.first_column + first + l));
    }
  }
}

}  // namespace

void nearest_by_cosines(const NearestByCosinesArgs& args, int threads) {
  parallel_for(args.lists.rows, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    const std::vector<float> piece = piece_of(args, begin, end);
    Block block(args.dim);
    for (std::int64_t first = 0; first < args.columns; first += kLanes) {
      join(args, piece, block, begin, end, first);
    }
  });
}

}  // namespace fpd::cpu
