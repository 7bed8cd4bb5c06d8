// Where an operation runs. Launchers take it last, allocate nothing and synchronise nothing.
#pragma once

namespace fpd {

enum class Device { cpu, cuda };

struct Target {
  Device device;
  int threads;   // cpu
  void* stream;  // cuda: a cudaStream_t
};

}  // namespace fpd
