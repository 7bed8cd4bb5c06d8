// Where the anchors that a row has scores for have a peak: at the mean of those around the best
// one, by a few steps of a mean shift (Fukunaga and Hostetler 1975, doi 10.1109/TIT.1975.1055330),
// each of which weighs an anchor by its odds and by a Gaussian of its distance from where the row
// is.
#pragma once

#include <cstdint>

#include "math/support/elementary.h"

namespace fpd {

constexpr int kModeShifts = 5;
// Anchors whose score is so far below the best one have odds below what a sum in float32 can tell.
constexpr float kNegligible = -17.0f;

struct AnchorModesArgs {
  float* modes;          // (rows, dim) out
  float* moves;          // (rows, dim) scratch
  const float* scores;   // (rows, anchors)
  const float* anchors;  // (dim, anchors), each coordinate of all
  const float* windows;  // (anchors,) width of the Gaussian where an anchor is the best
  std::int64_t rows;
  std::int64_t count;  // of anchors
  std::int64_t dim;
};

// The weight of an anchor by how far its score is below the best one, and by its squared distance.
FPD_HD float mode_weight(float score, float d2, float window) {
  return exp_fast(score - 0.5f * d2 / (window * window));
}

namespace cpu {
void anchor_modes(const AnchorModesArgs& args, int threads);
}
namespace cuda {
void anchor_modes(const AnchorModesArgs& args, void* stream);
}

}  // namespace fpd
