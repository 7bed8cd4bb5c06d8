// As csrc/cuda/support/kernel_graph.cuh, of emulated kernels.
#pragma once

#include <functional>
#include <vector>

#include "cuda/support/launch.cuh"

namespace fpd::cuda {

class KernelGraph {
 public:
  template <typename... Parameters>
  void add(void (*kernel)(Parameters...), unsigned blocks, unsigned threads,
           Parameters... arguments) {
    nodes_.push_back([=] { emulated::launch(kernel, blocks, threads)(arguments...); });
  }

  void launch(std::int64_t times, void*) const {
    for (std::int64_t i = 0; i < times; ++i) {
      for (const auto& node : nodes_) node();
    }
  }

 private:
  std::vector<std::function<void()>> nodes_;
};

}  // namespace fpd::cuda
