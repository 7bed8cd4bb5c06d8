// The Python module: operations from addresses and sizes to their argument structs.
#include <pybind11/pybind11.h>

#include <string>

#include "bindings/common.h"
#include "dispatch.h"

using namespace fpd;

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  m.doc() = "Native operations of fastparadime; fastparadime.ops is their only caller.";
  py::class_<Target>(m, "Target")
      .def(py::init([](const std::string& device, int threads, Address stream) {
             return Target{device == "cuda" ? Device::cuda : Device::cpu, threads,
                           at<void>(stream)};
           }),
           "device"_a, "threads"_a, "stream"_a = 0);
  m.attr("version") = FPD_VERSION;
  m.attr("compiler") = FPD_COMPILER;
  m.attr("simd_level") = cpu::simd_level_name();
  m.attr("cuda_version") = FPD_CUDA_VERSION;
  m.attr("cuda_architectures") = FPD_CUDA_ARCHITECTURES;
  m.def(
      "cuda_versions",
      [] {
        const CudaVersions found = cuda_versions();
        return py::make_tuple(found.driver, found.runtime);
      },
      "What the machine's driver runs and what this build has, 0 without them.");
  m.attr("kLeafRows") = kLeafRows;
  m.attr("kMinListWidth") = kMinListWidth;
  m.attr("kMaxListWidth") = kMaxListWidth;
  m.attr("kUnitColumns") = kUnitColumns;
  m.attr("kMaxUnitColumns") = kMaxUnitColumns;
  m.attr("kHeadsPerPartial") = kHeadsPerPartial;
  m.attr("kMlpBlock") = kMlpBlock;
  m.attr("kMaxHiddenLayers") = kMaxHiddenLayers;
  m.attr("kSharedLanes") = kSharedLanes;
  m.attr("kNoNeighbor") = kNoNeighbor;
  m.attr("kProductBlock") = kProductBlock;
  m.attr("kWorkerRows") = kWorkerRows;
  bind_neighbors(m);
  bind_graph(m);
  bind_training(m);
  bind_edge_step(m);
  bind_layout(m);
}
