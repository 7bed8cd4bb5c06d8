// How warpgroups multiply: where elements of a slice of a matrix lie in shared memory, how an
// instruction is told, and which sums a thread gets (PTX ISA, "Asynchronous Warpgroup Level Matrix
// Multiply-Accumulate Instructions", m64nNk16, both matrices K-major, swizzled by 128 bytes).
#pragma once

#include <cstdint>

#include "math/support/host_device.h"

namespace fpd {

constexpr int kSliceColumns = 64;  // halves in a row of a slice, 128 bytes
constexpr int kSliceRowBytes = 2 * kSliceColumns;
constexpr int kChunkBytes = 16;  // that stay together
constexpr int kSwizzledRows = 8;
constexpr int kProductRows = 64;      // of an instruction, for the 128 threads of a warpgroup
constexpr int kProductColumns = 128;  // of an instruction
constexpr int kProductDepth = 16;
constexpr int kProductSums = kProductRows * kProductColumns / 128;  // of a thread

// The byte of an element in a slice that starts at a multiple of 1024.
FPD_HD constexpr int slice_offset(int row, int column) {
  const int chunk = 2 * column / kChunkBytes, swizzled = chunk ^ (row % kSwizzledRows);
  return row * kSliceRowBytes + swizzled * kChunkBytes + 2 * column % kChunkBytes;
}

// What an instruction takes for a matrix: the address of its first element, which the swizzle
// leaves where it is, the bytes between groups of eight rows, and the swizzle. It finds the other
// elements by exchanging bits of whole addresses, so that a step along the columns is one of the
// address.
FPD_HD constexpr std::uint64_t matrix_descriptor(std::uint32_t address) {
  constexpr std::uint64_t unused = 1, swizzled_by_128_bytes = 1;
  constexpr std::uint64_t group = kSwizzledRows * kSliceRowBytes / kChunkBytes;
  return std::uint64_t{(address & 0x3ffff) / kChunkBytes} | unused << 16 | group << 32 |
         swizzled_by_128_bytes << 62;
}

// The sum i of a thread of a warpgroup.
FPD_HD constexpr int sum_row(int thread, int i) {
  return thread / 32 * 16 + i / 2 % 2 * 8 + thread % 32 / 4;
}
FPD_HD constexpr int sum_column(int thread, int i) { return i / 4 * 8 + thread % 4 * 2 + i % 2; }

}  // namespace fpd
