#include "ops/graph/components.h"

#include <utility>

namespace fpd::cpu {
namespace {

// The root of a point's tree; every other point on the way is hung up one higher.
std::int32_t find_root(std::int32_t* parents, std::int32_t point) {
  while (parents[point] != point) {
    parents[point] = parents[parents[point]];
    point = parents[point];
  }
  return point;
}

}  // namespace

// Union by the smaller point, so that a root is the first of its component.
void components(const ComponentsArgs& args) {
  std::int32_t* const parents = args.roots;
  for (std::int64_t i = 0; i < args.n; ++i) parents[i] = static_cast<std::int32_t>(i);
  for (std::int64_t i = 0; i < args.n; ++i) {
    std::int32_t own = find_root(parents, static_cast<std::int32_t>(i));
    for (std::int64_t e = args.indptr[i]; e < args.indptr[i + 1]; ++e) {
      std::int32_t other = find_root(parents, args.indices[e]);
      if (other == own) continue;
      if (other < own) std::swap(own, other);
      parents[other] = own;
    }
  }
  for (std::int64_t i = 0; i < args.n; ++i) {
    parents[i] = find_root(parents, static_cast<std::int32_t>(i));
  }
}

}  // namespace fpd::cpu
