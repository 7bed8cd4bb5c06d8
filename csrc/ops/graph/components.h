// The connected components of a symmetric graph, each named by its first point.
#pragma once

#include <cstdint>

namespace fpd {

struct ComponentsArgs {
  std::int32_t* roots;          // (n,) out, the first point of each point's component
  const std::int64_t* indptr;   // (n + 1,)
  const std::int32_t* indices;  // (edges,)
  std::int64_t n;
};

namespace cpu {
void components(const ComponentsArgs& args);
}

}  // namespace fpd
