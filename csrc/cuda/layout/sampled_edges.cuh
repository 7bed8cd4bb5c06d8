// The sampled edges of a part of an epoch, gathered so that every lane of a warp has one.
#pragma once

#include "cuda/layout/edges_by_part.cuh"

namespace fpd::cuda {

struct SampledEdge {
  int head = -1;  // from the warp's first point on; -1: no edge
  std::int32_t tail = 0;
  float weight = 1.0f;  // with densMAP's term
};

// Sampled edges of a warp until there is one for each lane.
struct Waiting {
  std::int32_t tails[2 * kWarp];
  float weights[2 * kWarp];
  std::uint8_t heads[2 * kWarp];

  __device__ void put(int place, const SampledEdge& edge) {
    tails[place] = edge.tail;
    weights[place] = edge.weight;
    heads[place] = static_cast<std::uint8_t>(edge.head);
  }
  __device__ SampledEdge edge(int place) const {
    return {heads[place], tails[place], weights[place]};
  }
};

// What a lane has fetched of the next edge.
struct Fetched {
  float share = 0.0f;
  float weight = 0.0f;
  std::int32_t tail = 0;
  std::uint8_t head = 0;

  __device__ Fetched(const SgdLayoutArgs& args, const EdgesByPart& sorted, std::int64_t e,
                     std::int64_t end) {
    if (e >= end) return;
    share = sorted.shares[e];
    tail = sorted.tails[e];
    head = sorted.heads[e];
    if (args.density.pulls != nullptr) weight = args.density.sampled_weights[e];
  }
  __device__ SampledEdge sampled() const { return {head, tail, weight}; }
};

// Calls body(edge) with 32 sampled edges of a part at a time, one in each lane, in their order.
template <typename Body>
__device__ void for_sampled(const SgdLayoutArgs& args, const EdgesByPart& sorted, std::int64_t warp,
                            int part, std::int64_t epoch, Waiting& shared, const Body& body) {
  const int lane = static_cast<int>(threadIdx.x % kWarp);
  const std::int64_t end = sorted.end(warp, part);
  std::int64_t at = sorted.begin(args, warp, part);
  Fetched next(args, sorted, at + lane, end);
  int count = 0;
  for (; at < end; at += kWarp) {
    const Fetched edge = next;
    next = Fetched(args, sorted, at + kWarp + lane, end);
    const bool sampled = is_sampled(edge.share, epoch);
    const unsigned mask = __ballot_sync(kAllLanes, sampled);
    if (sampled) {
      shared.put(count + __popc(mask & ((1u << lane) - 1u)), edge.sampled());
    }
    count += __popc(mask);
    __syncwarp();
    if (count < kWarp) continue;
    body(shared.edge(lane));
    count -= kWarp;
    const SampledEdge left = shared.edge(kWarp + lane);
    __syncwarp();
    shared.put(lane, left);
    __syncwarp();
  }
  if (count == 0) return;
  body(lane < count ? shared.edge(lane) : SampledEdge{});
  __syncwarp();
}

}  // namespace fpd::cuda
