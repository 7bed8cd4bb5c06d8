#include "ops/neighbors/nearest_by_cosines.h"

#include <algorithm>
#include <memory>

#include "cpu/neighbors/sorted_list.h"
#include "cpu/support/parallel.h"
#include "cpu/support/simd.h"
#include "math/support/half.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 32;  // that meet each block of columns once it is converted
constexpr std::int64_t kRowsTogether = 4;   // whose sums hide each other's latency
static_assert(kRowsPerPiece % kRowsTogether == 0, "a piece is whole groups");

// Units come in parts of so many columns, whose number the compiler knows.
using RowPart = float[kRowsPerPiece][kMaxUnitColumns];
using ColumnPart = float[kMaxUnitColumns][kLanes];

std::int64_t parts_of(std::int64_t dim) { return (dim + kMaxUnitColumns - 1) / kMaxUnitColumns; }

// Rows of a piece, with zeros for those that are missing.
std::unique_ptr<RowPart[]> piece_of(const NearestByCosinesArgs& args, std::int64_t begin,
                                    std::int64_t end) {
  std::unique_ptr<RowPart[]> parts(new RowPart[parts_of(args.dim)]());
  for (std::int64_t row = begin; row < end; ++row) {
    for (std::int64_t d = 0; d < args.dim; ++d) {
      parts[d / kMaxUnitColumns][row - begin][d % kMaxUnitColumns] =
          half_value(args.units[row * args.dim + d]);
    }
  }
  return parts;
}

// Up to kLanes columns, transposed, with zeros for those that are missing.
struct Block {
  std::unique_ptr<ColumnPart[]> parts;
  float norms[kLanes] = {};

  explicit Block(std::int64_t dim) : parts(new ColumnPart[parts_of(dim)]()) {}

  void take(const NearestByCosinesArgs& args, std::int64_t first, std::int64_t lanes) {
    std::copy_n(args.norms + first, lanes, norms);
    if (lanes < kLanes)
      std::fill_n(&parts[0][0][0], parts_of(args.dim) * kMaxUnitColumns * kLanes, 0.0f);
    for (std::int64_t l = 0; l < lanes; ++l) {
      const std::uint16_t* const unit = args.column_units + (first + l) * args.dim;
      for (std::int64_t d = 0; d < args.dim; ++d) {
        parts[d / kMaxUnitColumns][d % kMaxUnitColumns][l] = half_value(unit[d]);
      }
    }
  }
};

// Adds the products of a part to cosines.
FPD_INLINE void multiply(const float (*rows)[kMaxUnitColumns], const float (*columns)[kLanes],
                         std::int64_t dim, float (*cosines)[kLanes]) {
  float sums[kRowsTogether][kLanes];
  std::copy_n(cosines[0], kRowsTogether * kLanes, sums[0]);
  for (std::int64_t d = 0; d < dim; ++d) {
    for (std::int64_t r = 0; r < kRowsTogether; ++r) {
      for (std::int64_t l = 0; l < kLanes; ++l) sums[r][l] += rows[r][d] * columns[d][l];
    }
  }
  std::copy_n(sums[0], kRowsTogether * kLanes, cosines[0]);
}

// Columns from `first` on join the lists of a piece's rows.
void join(const NearestByCosinesArgs& args, const RowPart* piece, Block& block, std::int64_t begin,
          std::int64_t end, std::int64_t first) {
  const std::int64_t lanes = std::min(kLanes, args.columns - first), width = args.lists.width;
  block.take(args, first, lanes);
  float cosines[kRowsTogether][kLanes];
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t at = row - begin, together = at % kRowsTogether;
    if (together == 0) {
      std::fill_n(cosines[0], kRowsTogether * kLanes, 0.0f);
      for (std::int64_t part = 0; part < parts_of(args.dim); ++part) {
        const std::int64_t left = args.dim - part * kMaxUnitColumns;
        at_simd_level<multiply>(piece[part] + at, block.parts[part],
                                std::min(left, kMaxUnitColumns), cosines);
      }
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
    const auto piece = piece_of(args, begin, end);
    Block block(args.dim);
    for (std::int64_t first = 0; first < args.columns; first += kLanes) {
      join(args, piece.get(), block, begin, end, first);
    }
  });
}

}  // namespace fpd::cpu
