// Kernels one after the other as a CUDA graph, which is launched as often as wanted.
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/support/launch.cuh"

namespace fpd::cuda {

// Built node by node, not captured: torch's default stream cannot be captured.
class KernelGraph {
 public:
  KernelGraph() {
    cudaGraph_t made = nullptr;
    FPD_CUDA_CHECK(cudaGraphCreate(&made, 0));
    graph_.reset(made);
  }

  // Appends a kernel, whose arguments are copied.
  template <typename... Parameters>
  void add(void (*kernel)(Parameters...), unsigned blocks, unsigned threads,
           Parameters... arguments) {
    void* addresses[] = {static_cast<void*>(&arguments)...};
    cudaKernelNodeParams node = {};
    node.func = reinterpret_cast<void*>(kernel);
    node.gridDim = dim3(blocks);
    node.blockDim = dim3(threads);
    node.kernelParams = addresses;
    const cudaGraphNode_t before = last_;
    FPD_CUDA_CHECK(cudaGraphAddKernelNode(&last_, graph_.get(), &before, before != nullptr, &node));
  }

  // What has been launched still runs to its end when the graph is gone.
  void launch(std::int64_t times, void* stream) const {
    cudaGraphExec_t made = nullptr;
    FPD_CUDA_CHECK(cudaGraphInstantiate(&made, graph_.get(), 0));
    const std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, Destroy> ready(made);
    for (std::int64_t i = 0; i < times; ++i) {
      FPD_CUDA_CHECK(cudaGraphLaunch(ready.get(), as_stream(stream)));
    }
  }

 private:
  struct Destroy {
    void operator()(cudaGraph_t graph) const { cudaGraphDestroy(graph); }
    void operator()(cudaGraphExec_t graph) const { cudaGraphExecDestroy(graph); }
  };

  std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, Destroy> graph_;
  cudaGraphNode_t last_ = nullptr;
};

}  // namespace fpd::cuda
