// Where an operation runs. Launchers take it last, allocate nothing and synchronise nothing.
#pragma once

#include <string>

namespace fpd {

enum class Device { cpu, cuda };

struct Target {
  Device device;
  int threads;   // cpu
  void* stream;  // cuda: a cudaStream_t
};

namespace cpu {
// The instruction set that the loops use in this process.
std::string simd_level_name();
}  // namespace cpu

}  // namespace fpd
