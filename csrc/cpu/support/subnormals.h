// Subnormal numbers as zeros, where they come of products that have died out and tell nothing.
#pragma once

#include <cstdint>

#if defined(__SSE__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

namespace fpd::cpu {

// On this thread, as long as it lives: some processors take many times as long for a subnormal
// number, and softmax and its slopes are full of them.
class FlushedSubnormals {
 public:
  FlushedSubnormals(const FlushedSubnormals&) = delete;
  FlushedSubnormals& operator=(const FlushedSubnormals&) = delete;

#if defined(__SSE__) || defined(_M_X64)
  FlushedSubnormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kZeros); }
  ~FlushedSubnormals() { _mm_setcsr(before_); }

 private:
  static constexpr unsigned kZeros = 0x8040;  // of results, and of operands
  unsigned before_;
#elif defined(__aarch64__) && defined(__GNUC__)
  FlushedSubnormals() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" : : "r"(before_ | kZeros));
  }
  ~FlushedSubnormals() { asm volatile("msr fpcr, %0" : : "r"(before_)); }

 private:
  static constexpr std::uint64_t kZeros = std::uint64_t{1} << 24;
  std::uint64_t before_;
#else
  FlushedSubnormals() {}
  ~FlushedSubnormals() {}
#endif
};

}  // namespace fpd::cpu
