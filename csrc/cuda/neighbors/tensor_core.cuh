// Instructions of a warp for products of half-precision matrices summed in float32. Lane 4 g + q
// holds, of what is 16 rows high, rows g and g + 8, of 8 columns 2 q and 2 q + 1 (PTX ISA, "Matrix
// Fragments for mma.m16n8k16").
#pragma once

#include <cstdint>

namespace fpd::cuda {

// Four matrices of 8 x 8 halves from shared memory: lane 8 j + r gives the address of row r of
// matrix j, and gets elements 2 q and 2 q + 1 of row g of each.
__device__ inline void load_matrices(std::uint32_t (&matrices)[4], const void* row) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(address)
               : "memory");
}

// sums (16 x 8) += left (16 x 16) times right (16 x 8). Of the left, rows g and g + 8 of columns
// 2 q, then those of columns 2 q + 8; of the right, rows 2 q, then rows 2 q + 8, of column g.
__device__ inline void multiply_add(float (&sums)[4], const std::uint32_t (&left)[4],
                                    std::uint32_t right_low, std::uint32_t right_high) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right_low), "r"(right_high));
}

}  // namespace fpd::cuda
