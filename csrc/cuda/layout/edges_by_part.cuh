// The edges of a layout sorted once: of each warp's points by the part of the epoch that they are
// sampled in, so that a step reads its own edges one after the other.
#pragma once

#include "cuda/support/launch.cuh"
#include "ops/layout/sgd_layout.h"

namespace fpd::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kMostPoints = 128;  // of a warp

// Points of a warp: more where enough warps for a device are left. Their number settles the order
// of sums, so it depends on nothing else.
inline int points_of_a_warp(std::int64_t n) {
  constexpr std::int64_t enough = 4096;
  int points = kMostPoints;
  while (points > kWarp && n < enough * points) points /= 2;
  return points;
}

struct EdgesByPart {
  std::int64_t* done;   // (1,) epochs of the present call
  std::int64_t* ends;   // (warps, parts) where a part of a warp's edges ends
  float* shares;        // (edges,) samples an epoch
  std::int32_t* tails;  // (edges,)
  std::uint8_t* heads;  // (edges,) from the warp's first point on
  std::int64_t warps;
  int points;  // of a warp
  int parts;

  explicit EdgesByPart(const SgdLayoutArgs& args)
      : warps(warps_of(args.n)), points(points_of_a_warp(args.n)), parts(args.steps_per_epoch) {
    done = static_cast<std::int64_t*>(args.scratch);
    ends = done + 1;
    shares = reinterpret_cast<float*>(ends + warps * parts);
    tails = reinterpret_cast<std::int32_t*>(shares + args.edges);
    heads = reinterpret_cast<std::uint8_t*>(tails + args.edges);
  }

  static std::int64_t warps_of(std::int64_t n) {
    return (n + points_of_a_warp(n) - 1) / points_of_a_warp(n);
  }
  static std::size_t bytes(std::int64_t n, std::int64_t edges, int parts) {
    return sizeof(std::int64_t) * (1 + warps_of(n) * parts) +
           (sizeof(float) + sizeof(std::int32_t) + sizeof(std::uint8_t)) * edges;
  }

  __device__ std::int64_t begin(const SgdLayoutArgs& args, std::int64_t warp, int part) const {
    return part == 0 ? args.indptr[warp * points] : ends[warp * parts + part - 1];
  }
  __device__ std::int64_t end(std::int64_t warp, int part) const {
    return ends[warp * parts + part];
  }
};

// Parts whose edges move their heads in a step: its own, and the mirrored one unless tails stay.
__device__ inline int sides_of(const SgdLayoutArgs& args) {
  return args.anchors == nullptr ? 2 : 1;
}

// Calls body(edge, head, part) for a warp's edges, 32 at a time; part is -1 beyond the last.
template <typename Body>
__device__ void for_edges(const SgdLayoutArgs& args, std::int64_t first, std::int64_t last,
                          const Body& body) {
  const EpochParts parts = EpochParts::of(args);
  const std::int64_t end = args.indptr[last];
  std::int64_t head = first;
  for (std::int64_t at = args.indptr[first]; at < end; at += kWarp) {
    const std::int64_t e = at + threadIdx.x % kWarp;
    int part = -1;
    if (e < end) {
      while (args.indptr[head + 1] <= e) ++head;
      part = parts.part_of(static_cast<std::uint32_t>(head),
                           static_cast<std::uint32_t>(args.tails[e]));
    }
    body(e, head, part);
    __syncwarp();
  }
}

// A warp counts its edges by part, then places them: edges of a part stay in their order.
static __global__ void sort_edges_kernel(SgdLayoutArgs args, EdgesByPart sorted) {
  const int lane = static_cast<int>(threadIdx.x % kWarp);
  for (std::int64_t warp = thread_index() / kWarp; warp < sorted.warps;
       warp += thread_count() / kWarp) {
    const std::int64_t first = warp * sorted.points;
    const std::int64_t last = first + sorted.points < args.n ? first + sorted.points : args.n;
    std::int64_t* const places = sorted.ends + warp * sorted.parts;
    for (int part = lane; part < sorted.parts; part += kWarp) places[part] = 0;
    __syncwarp();
    const auto before = [lane](unsigned same) { return __popc(same & ((1u << lane) - 1u)); };
    for_edges(args, first, last, [&](std::int64_t, std::int64_t, int part) {
      const unsigned same = __match_any_sync(kAllLanes, part);
      if (part >= 0 && before(same) == 0) places[part] += __popc(same);
    });
    if (lane == 0) {
      std::int64_t start = args.indptr[first];
      for (int part = 0; part < sorted.parts; ++part) {
        const std::int64_t count = places[part];
        places[part] = start;
        start += count;
      }
    }
    __syncwarp();
    for_edges(args, first, last, [&](std::int64_t e, std::int64_t head, int part) {
      const unsigned same = __match_any_sync(kAllLanes, part);
      const std::int64_t to = part >= 0 ? places[part] + before(same) : 0;
      __syncwarp();
      if (part < 0) return;
      if (before(same) == 0) places[part] += __popc(same);
      sorted.shares[to] = args.share(e);
      sorted.tails[to] = args.tails[e];
      sorted.heads[to] = static_cast<std::uint8_t>(head - first);
      if (args.density.pulls != nullptr) args.density.sampled_weights[to] = args.weights[e];
    });
  }
}

}  // namespace fpd::cuda
