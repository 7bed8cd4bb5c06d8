// Membership strengths of a point's neighbours: exp(-(d - rho) / sigma), sigma such that they sum
// to a target (McInnes et al., "UMAP", arXiv 1802.03426, algorithm 3).
#pragma once

#include <cstdint>

#include "math/support/elementary.h"

namespace fpd {

// What paraDime's and UMAP's rules differ in.
struct SmoothKnnRule {
  float target;              // log2 of the number of neighbours, as the rule counts them
  float local_connectivity;  // 0: rho is the smallest distance; else UMAP's fractional rank
  int counted;               // how many distances the row's mean is taken over
};

// UMAP's lower bound of sigma as a share of the mean distance.
constexpr float kMinimumSigmaShare = 1e-3f;

FPD_HD float offset_from(float rho, float distance) { return max_of(distance - rho, 0.0f); }

FPD_HD float membership_strength(float offset, float inverse_sigma) {
  return exp_fast(-offset * inverse_sigma);
}

// Search for s = 1 / sigma with sum_j exp(-x_j s) = target. In log space the sum is convex and
// falls with s, so Newton's steps from the left never pass the root; the bracket guards rounding.
struct SigmaBracket {
  static constexpr int kMaxSteps = 64;

  float inverse;  // the s to evaluate next
  float low;
  float high;

  // mean_offset is the mean of x: the first value is Newton's step from s = 0.
  FPD_HD static SigmaBracket start(float k, float mean_offset, float target) {
    const float first = log_fast(max_of(k / target, 1.0f + 1e-6f)) / mean_offset;
    return {min_of(first, FLT_MAX), 0.0f, INFINITY};
  }

  // One neighbour's terms of the two sums that `update` takes, scaled = x_j s.
  FPD_HD static void add(float& sum, float& moment, float scaled) {
    const float strength = exp_fast(-scaled);
    sum += strength;
    moment += scaled * strength;
  }

  // sum = sum_j exp(-x_j s), moment = sum_j x_j s exp(-x_j s); true once s is settled. Written in
  // selects, so that a loop over searches vectorises.
  FPD_HD bool update(float sum, float moment, float target) {
    const float excess = log_fast(sum / target);
    const bool above = excess > 0.0f;
    low = above ? inverse : low;
    high = above ? high : inverse;
    const float newton = inverse * (1.0f + sum / moment * excess);
    const float middle = high < INFINITY ? 0.5f * (low + high) : 2.0f * low;
    const bool inside = (newton >= low) & (newton <= high);
    const float next = min_of(inside ? newton : middle, FLT_MAX);  // offsets may be below 1e-38
    const bool settled = (next == inverse) | ((excess < 2e-7f) & (excess > -2e-7f));
    inverse = next;
    return settled;
  }
};

// The least sigma that a row may have, from its rho and the mean distance of the row and of all.
FPD_HD float smallest_sigma(float rho, float row_mean, float global_mean) {
  return kMinimumSigmaShare * (rho > 0.0f ? row_mean : global_mean);
}

// What the search needs to know of a row's k distances.
struct RowSummary {
  float mean;
  float mean_offset;
  float at_rho;  // how many distances count 1

  FPD_HD void add(float distance, float offset, float share) {
    at_rho += offset == 0.0f ? 1.0f : 0.0f;
    mean += distance * share;  // scaled first: a sum of huge distances would overflow
    mean_offset += offset * share;
  }
};

// Where a row's search for 1 / sigma starts and where it is cut off.
struct SigmaSearch {
  SigmaBracket bracket;
  float largest;  // bound of 1 / sigma, 0 where all distances are 0 and every strength is 1
  bool open;      // false: there is no root, and 1 / sigma is `largest`

  FPD_HD static SigmaSearch start(const SmoothKnnRule& rule, const RowSummary& row, float rho,
                                  float k, float global_mean) {
    const float row_mean = row.mean * (k / static_cast<float>(rule.counted));
    const float largest = reciprocal_or_zero(smallest_sigma(rho, row_mean, global_mean));
    // Without a root: as many neighbours lie at rho as the sum asks for, or all of them do.
    const bool open = (row.at_rho < rule.target) & (row.mean_offset > 0.0f);
    if (!open) return {{largest, 0.0f, INFINITY}, largest, open};
    return {SigmaBracket::start(k, row.mean_offset, rule.target), largest, open};
  }
};

// The distance at a 1-based rank among the non-zero distances of a row in any order.
FPD_HD float nonzero_at_rank(const float* distances, std::int64_t k, int rank) {
  float found = 0.0f;
  for (std::int64_t counted = 0; counted < rank;) {
    float next = INFINITY;
    std::int64_t ties = 0;
    for (std::int64_t j = 0; j < k; ++j) {
      const float d = distances[j];
      if (d > found && d < next) {
        next = d;
        ties = 1;
      } else if (d == next) {
        ++ties;
      }
    }
    if (ties == 0) break;  // fewer non-zero distances than the rank: the largest of them
    found = next;
    counted += ties;
  }
  return found;
}

// UMAP's rho interpolates between the ranks around local_connectivity; without as many non-zero
// distances it is the largest one.
FPD_HD float connectivity_rho(const float* distances, std::int64_t k, float local_connectivity) {
  const int rank = static_cast<int>(local_connectivity);
  const float fraction = local_connectivity - static_cast<float>(rank);
  const float below = rank > 0 ? nonzero_at_rank(distances, k, rank) : 0.0f;
  if (fraction <= 1e-5f) return below;
  return below + fraction * (nonzero_at_rank(distances, k, rank + 1) - below);
}

}  // namespace fpd
