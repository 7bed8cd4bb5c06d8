// The loops of gemm.h for vectors of some lanes. Included by gemm.cpp once for each instruction
// set, into a namespace of its own: what a vector is lowered to is settled where a function is
// defined, so neither a target attribute on the caller nor inlining is enough. Hence no guard.

template <int lanes>
struct Simd {
  typedef float Floats __attribute__((vector_size(lanes * sizeof(float))));
};

template <typename Floats>
FPD_INLINE void load(Floats& values, const float* from) {
  std::memcpy(&values, from, sizeof values);
}

template <typename Floats>
FPD_INLINE void store(float* to, const Floats& values) {
  std::memcpy(to, &values, sizeof values);
}

// One step of a transposition, on rows i and i + width of a square: swaps the blocks of `width`
// lanes beside their diagonal.
template <int width, int... lane>
FPD_INLINE void swap_blocks(typename Simd<sizeof...(lane)>::Floats& upper,
                            typename Simd<sizeof...(lane)>::Floats& lower,
                            std::integer_sequence<int, lane...>) {
  constexpr int lanes = sizeof...(lane);
  const auto old = upper;
  upper =
      __builtin_shufflevector(old, lower, ((lane & width) == 0 ? lane : lane - width + lanes)...);
  lower =
      __builtin_shufflevector(old, lower, ((lane & width) == 0 ? lane + width : lane + lanes)...);
}

template <int width, int lanes>
FPD_INLINE void transpose_square(typename Simd<lanes>::Floats (&rows)[lanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < lanes; ++i) {
    if ((i & width) == 0) {
      swap_blocks<width>(rows[i], rows[i + width], std::make_integer_sequence<int, lanes>{});
    }
  }
  if constexpr (2 * width < lanes) transpose_square<2 * width, lanes>(rows);
}

template <int lanes>
void transpose(float* to, std::int64_t to_stride, const Rows& from, std::int64_t rows,
               std::int64_t columns) {
  const std::int64_t whole_rows = rows - rows % lanes, whole_columns = columns - columns % lanes;
  for (std::int64_t r = 0; r < whole_rows; r += lanes) {
    for (std::int64_t c = 0; c < whole_columns; c += lanes) {
      typename Simd<lanes>::Floats square[lanes];
#pragma GCC unroll 16
      for (int i = 0; i < lanes; ++i) load(square[i], from[r + i] + c);
      transpose_square<1, lanes>(square);
#pragma GCC unroll 16
      for (int i = 0; i < lanes; ++i) store(to + (c + i) * to_stride + r, square[i]);
    }
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c) {
      to[c * to_stride + r] = from[r][c];
    }
  }
}

template <int lanes>
void center(float* values, std::int64_t stride, float* norms, const float* mean, float scale,
            std::int64_t columns, const float* ahead) {
  constexpr int vectors = kPanelRows / lanes;
  using Floats = typename Simd<lanes>::Floats;
  Floats sums[vectors] = {};
  for (std::int64_t c = 0; c < columns; ++c) {
    for (int l = 0; l < kPanelRows; l += kLanes) prefetch_far(ahead + c * kPanelRows + l);
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) {
      Floats row;
      load(row, values + c * stride + v * lanes);
      row = (row - mean[c]) * scale;
      sums[v] += row * row;
      store(values + c * stride + v * lanes, row);
    }
  }
#pragma GCC unroll 16
  for (int v = 0; v < vectors; ++v) store(norms + v * lanes, sums[v]);
}

// The sums of 2 lanes rows and some columns: as many as fit the registers. Loops over them are
// unrolled, else the tile goes through memory.
template <int lanes, int columns>
FPD_INLINE void add_tile(float* sums, const float* panel, const float* matrix, std::int64_t stride,
                         std::int64_t depth) {
  using Floats = typename Simd<lanes>::Floats;
  Floats tile[columns][2];
#pragma GCC unroll 16
  for (int c = 0; c < columns; ++c) tile[c][0] = tile[c][1] = Floats{};
  for (std::int64_t d = 0; d < depth; ++d) {
    Floats rows[2];
    load(rows[0], panel + d * kPanelRows);
    load(rows[1], panel + d * kPanelRows + lanes);
#pragma GCC unroll 16
    for (int c = 0; c < columns; ++c) {
      const float value = matrix[d * stride + c];
      tile[c][0] += value * rows[0];
      tile[c][1] += value * rows[1];
    }
  }
#pragma GCC unroll 16
  for (int c = 0; c < columns; ++c) {
    Floats old[2];
    load(old[0], sums + c * kPanelRows);
    load(old[1], sums + c * kPanelRows + lanes);
    store(sums + c * kPanelRows, old[0] + tile[c][0]);
    store(sums + c * kPanelRows + lanes, old[1] + tile[c][1]);
  }
}

template <int lanes, int columns>
FPD_INLINE void add_last_tile(float* sums, const float* panel, const float* matrix,
                              std::int64_t stride, std::int64_t depth, std::int64_t left) {
  if (left == columns) {
    add_tile<lanes, columns>(sums, panel, matrix, stride, depth);
  } else if constexpr (columns > 1) {
    add_last_tile<lanes, columns - 1>(sums, panel, matrix, stride, depth, left);
  }
}

template <int lanes, int tile_columns>
void gemm(float* sums, const float* panel, const float* matrix, std::int64_t stride,
          std::int64_t depth, std::int64_t columns) {
  for (std::int64_t r = 0; r < kPanelRows; r += 2 * lanes) {
    std::int64_t c = 0;
    for (; c + tile_columns <= columns; c += tile_columns) {
      add_tile<lanes, tile_columns>(sums + c * kPanelRows + r, panel + r, matrix + c, stride,
                                    depth);
    }
    add_last_tile<lanes, tile_columns - 1>(sums + c * kPanelRows + r, panel + r, matrix + c, stride,
                                           depth, columns - c);
  }
}
