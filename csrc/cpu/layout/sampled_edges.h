// The edges that an epoch of the layout samples, sorted by the step that takes them. A piece of
// points keeps its edges in its own part of the scratch, so pieces are independent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/layout/sgd_layout.h"

namespace fpd::cpu {

constexpr std::int64_t kPointsPerPiece = 512;
static_assert(kPointsPerPiece <= 1 << 16, "a head within its piece takes 16 bits");

// Edges of one piece and part, their heads counted from the piece's first point.
struct EdgeList {
  const std::uint16_t* heads;
  const std::int32_t* tails;
  const float* weights;  // with densMAP's term, else null
  std::int64_t size;
};

class SampledEdges {
 public:
  explicit SampledEdges(const SgdLayoutArgs& args);

  static std::size_t bytes(std::int64_t n, std::int64_t edges, int steps_per_epoch);

  // Finds the sampled edges of the points [begin, end), which are a piece.
  void find(std::int64_t begin, std::int64_t end, std::int64_t epoch) const;

  EdgeList list(std::int64_t piece, int part) const {
    const std::int64_t* starts = starts_ + piece * stride();
    const float* weights = args_.density.sampled_weights;
    return {heads_ + starts[part], tails_ + starts[part],
            weights == nullptr ? nullptr : weights + starts[part], starts[part + 1] - starts[part]};
  }

 private:
  struct Found;

  std::int64_t stride() const { return args_.steps_per_epoch + 1; }
  void sort(const Found& found, std::int64_t piece, std::int64_t first) const;

  const SgdLayoutArgs& args_;
  std::int64_t* starts_;  // (pieces, steps_per_epoch + 1)
  std::int32_t* tails_;   // (edges,)
  std::uint16_t* heads_;  // (edges,)
};

}  // namespace fpd::cpu
