// The product that the layers of a network are made of. One operand is a panel, columns of
// kPanelRows values one after the other, so that its rows are SIMD lanes; the other is a plain
// matrix whose values are broadcast. Sums stay in registers over the depth of a panel.
#pragma once

#include <cstdint>

namespace fpd::cpu {

constexpr std::int64_t kPanelRows = 32;
constexpr std::int64_t kPanelDepth = 128;    // 16 KB, half of a first cache
constexpr std::int64_t kPanelColumns = 256;  // sums that are kept at a time

// Rows of a matrix, some of them picked by id.
struct Rows {
  const float* first;
  std::int64_t stride;
  const std::int32_t* ids = nullptr;

  const float* operator[](std::int64_t i) const {
    return first + (ids == nullptr ? i : ids[i]) * stride;
  }
  Rows from(std::int64_t row, std::int64_t column) const {
    return ids == nullptr ? Rows{first + row * stride + column, stride}
                          : Rows{first + column, stride, ids + row};
  }
};

// to[c * to_stride + r] = from[r][c] for r < rows, c < columns.
void transpose(float* to, std::int64_t to_stride, const Rows& from, std::int64_t rows,
               std::int64_t columns);

// values[c][r] = (values[c][r] - mean[c]) * scale for the kPanelRows r of each of `columns`, which
// lie `stride` apart; norms[r] are the sums of their squares. As many values from `ahead` on are
// asked for meanwhile, wherever they lie.
void center(float* values, std::int64_t stride, float* norms, const float* mean, float scale,
            std::int64_t columns, const float* ahead);

// sums[c][r] += sum over d < depth of panel[d][r] * matrix[d * stride + c], for the kPanelRows r of
// `sums` and `panel` and c < columns.
void gemm(float* sums, const float* panel, const float* matrix, std::int64_t stride,
          std::int64_t depth, std::int64_t columns);

}  // namespace fpd::cpu
