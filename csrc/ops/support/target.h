// Where an operation runs. Launchers take it last, allocate nothing and synchronise nothing.
#pragma once

namespace fpd {

enum class Device { cpu, cuda };

struct Target {
  Device device;
  int threads;   // cpu
  void* stream;  // cuda: a cudaStream_t
};

namespace cpu {
// The instruction set that the multiversioned loops use on this machine.
const char* simd_level();
}  // namespace cpu

}  // namespace fpd
