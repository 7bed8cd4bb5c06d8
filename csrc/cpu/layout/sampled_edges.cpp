#include "cpu/layout/sampled_edges.h"

#include <algorithm>

#include "cpu/support/simd.h"

namespace fpd::cpu {
namespace {

std::int64_t piece_count(std::int64_t n) { return (n + kPointsPerPiece - 1) / kPointsPerPiece; }

FPD_INLINE void mark_sampled(const float* weights, std::int64_t count, float largest,
                             std::int64_t epoch, std::int32_t* sampled) {
  for (std::int64_t e = 0; e < count; ++e) {
    sampled[e] = is_sampled(samples_per_epoch(weights[e], largest), epoch);
  }
}

FPD_INLINE void mark_sampled_of_narrow(const std::uint16_t* shares, std::int64_t count,
                                       std::int64_t epoch, std::int32_t* sampled) {
  for (std::int64_t e = 0; e < count; ++e) {
    sampled[e] = is_sampled(share_of_narrow(shares[e]), epoch);
  }
}

FPD_INLINE void find_parts(const EpochParts& parts, std::int64_t first_point,
                           const std::uint16_t* heads, const std::int32_t* tails,
                           std::int64_t count, std::int32_t* found) {
  const EpochParts own = parts;  // a copy: stores cannot change it
  const std::uint32_t first = static_cast<std::uint32_t>(first_point);
  for (std::int64_t e = 0; e < count; ++e) {
    found[e] = own.part_of(first + heads[e], static_cast<std::uint32_t>(tails[e]));
  }
}

}  // namespace

// Sampled edges of a piece in the order of the graph.
struct SampledEdges::Found {
  std::vector<std::uint16_t> heads;
  std::vector<std::int32_t> tails;
  std::vector<std::int32_t> parts;
  std::vector<float> weights;  // with densMAP's term
  std::int64_t size = 0;

  Found(std::int64_t capacity, std::int64_t weighted)
      : heads(capacity), tails(capacity), parts(capacity), weights(weighted) {}
};

SampledEdges::SampledEdges(const SgdLayoutArgs& args)
    : args_(args),
      starts_(static_cast<std::int64_t*>(args.scratch)),
      tails_(reinterpret_cast<std::int32_t*>(starts_ + piece_count(args.n) * stride())),
      heads_(reinterpret_cast<std::uint16_t*>(tails_ + args.indptr[args.n])) {}

std::size_t SampledEdges::bytes(std::int64_t n, std::int64_t edges, int steps_per_epoch) {
  return piece_count(n) * (steps_per_epoch + 1) * sizeof(std::int64_t) +
         edges * (sizeof(std::int32_t) + sizeof(std::uint16_t));
}

void SampledEdges::find(std::int64_t begin, std::int64_t end, std::int64_t epoch) const {
  const std::int64_t first = args_.indptr[begin], edges = args_.indptr[end] - first;
  const bool weighted = args_.density.pulls != nullptr;
  Found found(edges + 1, weighted ? edges + 1 : 0);
  std::int32_t* const sampled = found.parts.data();  // a place for the marks, before the parts
  if (args_.narrow_shares != nullptr) {
    at_simd_level<mark_sampled_of_narrow>(args_.narrow_shares + first, edges, epoch, sampled);
  } else {
    at_simd_level<mark_sampled>(args_.weights + first, edges, args_.largest_weight, epoch, sampled);
  }
  std::int64_t size = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    for (std::int64_t e = args_.indptr[i] - first; e < args_.indptr[i + 1] - first; ++e) {
      found.heads[size] = static_cast<std::uint16_t>(i - begin);
      found.tails[size] = args_.tails[first + e];
      if (weighted) found.weights[size] = args_.weights[first + e];
      size += sampled[e];  // the next overwrites one that is not sampled
    }
  }
  found.size = size;
  at_simd_level<find_parts>(EpochParts::of(args_), args_.first_row + begin, found.heads.data(),
                            found.tails.data(), size, found.parts.data());
  sort(found, begin / kPointsPerPiece, first);
}

// By part, in the order of the graph within each.
void SampledEdges::sort(const Found& found, std::int64_t piece, std::int64_t first) const {
  std::int64_t* starts = starts_ + piece * stride();
  std::fill_n(starts, stride(), 0);
  for (std::int64_t e = 0; e < found.size; ++e) ++starts[found.parts[e] + 1];
  starts[0] = first;
  for (int part = 0; part < args_.steps_per_epoch; ++part) starts[part + 1] += starts[part];
  std::vector<std::int64_t> next(starts, starts + stride());
  for (std::int64_t e = 0; e < found.size; ++e) {
    const std::int64_t to = next[found.parts[e]]++;
    heads_[to] = found.heads[e];
    tails_[to] = found.tails[e];
    if (!found.weights.empty()) args_.density.sampled_weights[to] = found.weights[e];
  }
}

}  // namespace fpd::cpu
