// One tile of a search by matrix products: each row's list of the smallest distance bounds so far
// takes in the columns of the tile. A tile is read once. Lists ascend by (bound, column).
#pragma once

#include <cstdint>

#include "math/neighbors/distance_bound.h"

namespace fpd {

// Entries of a list: this times a power of two, up to the largest.
constexpr std::int64_t kMinListWidth = 32;
constexpr std::int64_t kMaxListWidth = 512;

struct CandidateLists {
  float* bounds;           // (rows, width), infinite where empty
  std::int32_t* indices;   // (rows, width), -1 where empty
  const float* row_norms;  // (rows,)
  std::int64_t rows;
  std::int64_t width;
};

struct NearestInTileArgs {
  CandidateLists lists;
  const float* cosines;  // (rows, columns)
  const float* norms;    // (columns,), infinite for columns that are no rows of the data
  float slack;           // error of a cosine
  std::int64_t columns;
  std::int64_t first_column;  // index of the tile's first column, above all that came before

  FPD_HD float bound(float row_norm, std::int64_t row, std::int64_t column) const {
    return squared_distance_bound(row_norm, norms[column], cosines[row * columns + column], slack);
  }
};

namespace cpu {
void nearest_in_tile(const NearestInTileArgs& args, int threads);
}
namespace cuda {
void nearest_in_tile(const NearestInTileArgs& args, void* stream);
}

}  // namespace fpd
