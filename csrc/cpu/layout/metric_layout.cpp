#include "ops/layout/metric_layout.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cpu/layout/sampled_edges.h"
#include "cpu/support/parallel.h"

namespace fpd::cpu {
namespace {

// The rows of a pair and the gradient, (dim,) each.
struct Pair {
  std::vector<double> x, y, gradient;

  explicit Pair(std::int64_t dim) : x(dim), y(dim), gradient(dim) {}
};

template <typename Metric>
class MetricSteps {
 public:
  MetricSteps(const SgdLayoutArgs& args, const Metric& metric)
      : args_(args), force_{args.force}, metric_(metric) {}

  void move_points(const LayoutStep& step, const SampledEdges& sampled, std::int64_t begin,
                   std::int64_t end) const {
    const std::int64_t piece = begin / kPointsPerPiece;
    std::vector<double> sums((end - begin) * args_.dim);
    Pair pair(args_.dim);
    sum_forces(step, sampled.list(piece, step.part), args_.negatives, begin, pair, sums.data());
    if (args_.anchors == nullptr) {
      const int other = EpochParts::of(args_).mirrored(step.part);
      sum_forces(step, sampled.list(piece, other), 0, begin, pair, sums.data());
    }
    for (std::int64_t i = begin; i < end; ++i) {
      float* row = step.to + i * args_.dim;
      for (std::int64_t c = 0; c < args_.dim; ++c) {
        const float sum = static_cast<float>(sums[(i - begin) * args_.dim + c]);
        row[c] = moved(step.from[i * args_.dim + c], sum, step);
      }
      metric_.project(row, args_.dim);
    }
  }

 private:
  // Adds a term, its components limited, to the sum of a head.
  template <typename Factor>
  void add(const LayoutStep& step, std::int64_t head, std::int64_t other, double scale,
           const Factor& factor, Pair& pair, double* sum) const {
    const std::int64_t dim = args_.dim;
    std::copy_n(step.from + head * dim, dim, pair.x.data());
    std::copy_n(step.others + other * dim, dim, pair.y.data());
    const double strength =
        factor(metric_(pair.x.data(), pair.y.data(), dim, pair.gradient.data()));
    for (std::int64_t c = 0; c < dim; ++c) {
      const float term = static_cast<float>(strength * pair.gradient[c]);
      sum[c] += scale * limited(term, kTermLimit);
    }
  }

  double weight_of(std::int64_t row) const {
    return args_.row_weights == nullptr ? 1.0 : args_.row_weights[row];
  }

  void sum_forces(const LayoutStep& step, const EdgeList& edges, int negatives, std::int64_t begin,
                  Pair& pair, double* sums) const {
    const auto attraction = [&](double distance) { return force_.attraction(distance); };
    const auto repulsion = [&](double distance) { return force_.repulsion(distance); };
    for (std::int64_t e = 0; e < edges.size; ++e) {
      const std::int64_t head = begin + edges.heads[e], tail = edges.tails[e];
      double* sum = sums + edges.heads[e] * args_.dim;
      const double scale = weight_of(tail);
      add(step, head, tail, scale, attraction, pair, sum);
      std::uint32_t words[kDrawsPerBlock];
      for (int negative = 0; negative < negatives; ++negative) {
        const int word = negative % kDrawsPerBlock;
        if (word == 0) draw(head, tail, draw_step(step.epoch, negative / kDrawsPerBlock), words);
        const NegativeDraw all = NegativeDraw::of(args_, step, negative);
        const std::int32_t drawn = all.tail(head, words[word]);
        add(step, head, drawn, scale * weight_of(drawn), repulsion, pair, sum);
      }
    }
  }

  // The words of Batch::draw in sgd_layout.cpp.
  void draw(std::int64_t head, std::int64_t tail, std::uint64_t step, std::uint32_t* words) const {
    std::uint32_t c0 = args_.streams[head], c1 = static_cast<std::uint32_t>(tail);
    std::uint32_t c2 = static_cast<std::uint32_t>(step);
    std::uint32_t c3 = static_cast<std::uint32_t>(step >> 32);
    philox_rounds(c0, c1, c2, c3, static_cast<std::uint32_t>(args_.seed),
                  static_cast<std::uint32_t>(args_.seed >> 32));
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
    words[4] = fifth_word(c0, c1, c2, c3);
  }

  const SgdLayoutArgs& args_;
  MetricForce force_;
  Metric metric_;
};

template <typename Metric>
void run(const SgdLayoutArgs& args, const Metric& metric, int threads) {
  if (args.n == 0) return;
  const SampledEdges sampled(args);
  const MetricSteps<Metric> all(args, metric);
  const std::int64_t steps = steps_of(args);
  for (std::int64_t count = 0; count < steps; ++count) {
    const LayoutStep step = LayoutStep::of(args, count);
    if (step.part == 0) {
      parallel_for(args.n, kPointsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
        sampled.find(begin, end, step.epoch);
      });
    }
    parallel_for(args.n, kPointsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
      all.move_points(step, sampled, begin, end);
    });
  }
  if (steps % 2 == 1) std::memcpy(args.positions, args.next, args.n * args.dim * sizeof(float));
}

}  // namespace

void metric_layout(const MetricLayoutArgs& args, int threads) {
  const SgdLayoutArgs& layout = args.layout;
  switch (args.metric) {
    case OutputMetric::minkowski: return run(layout, Minkowski(args.p, args.parameters), threads);
    case OutputMetric::chebyshev: return run(layout, Chebyshev(), threads);
    case OutputMetric::mahalanobis: return run(layout, Mahalanobis(args.parameters), threads);
    case OutputMetric::cosine: return run(layout, Cosine(false), threads);
    case OutputMetric::correlation: return run(layout, Cosine(true), threads);
    case OutputMetric::canberra: return run(layout, Canberra(), threads);
    case OutputMetric::braycurtis: return run(layout, BrayCurtis(), threads);
    case OutputMetric::sphere: return run(layout, Sphere(), threads);
    case OutputMetric::hyperboloid: return run(layout, Hyperboloid(), threads);
    case OutputMetric::spherical_gaussian: return run(layout, SphericalGaussian(), threads);
    case OutputMetric::diagonal_gaussian: return run(layout, DiagonalGaussian(), threads);
    case OutputMetric::gaussian: return run(layout, Gaussian(), threads);
    case OutputMetric::function: return run(layout, MetricFunction(args.function), threads);
  }
}

}  // namespace fpd::cpu
