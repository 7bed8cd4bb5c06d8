// Layouts, one def an operation.
#include <pybind11/pybind11.h>

#include <cstdint>

#include "bindings/common.h"
#include "dispatch.h"

namespace fpd {
namespace {

void bind_sgd_layout(py::module_& m) {
  m.def("sgd_layout_scratch", &sgd_layout_scratch, "Bytes of scratch that sgd_layout takes.");
  py::class_<SgdLayoutArgs>(m, "SgdLayoutArgs")
      .def(py::init([](Address positions, Address next, Address scratch, Address anchors,
                       Address indptr, Address tails, Address weights, Address streams, Index n,
                       Index edges, Index dim, Index tail_count, int negatives, int steps_per_epoch,
                       Index first_epoch, Index last_epoch, Index n_epochs, float learning_rate,
                       float largest_weight, std::uint64_t seed, float a, float b,
                       float repulsion_strength, Address pulls, Address sampled_weights,
                       float density_gain, bool sorted, Address row_weights, Index first_row,
                       std::uint32_t window, int window_heads_log2, Address narrow_shares) {
        return SgdLayoutArgs{at<float>(positions),
                             at<float>(next),
                             at<void>(scratch),
                             at<float>(anchors),
                             at<Index>(indptr),
                             at<std::int32_t>(tails),
                             at<float>(weights),
                             at<std::uint32_t>(streams),
                             n,
                             edges,
                             dim,
                             tail_count,
                             negatives,
                             steps_per_epoch,
                             first_epoch,
                             last_epoch,
                             n_epochs,
                             learning_rate,
                             largest_weight,
                             seed,
                             {{a, b}, repulsion_strength},
                             {at<DensityPull>(pulls), at<float>(sampled_weights), density_gain},
                             sorted,
                             at<float>(row_weights),
                             first_row,
                             {window, window_heads_log2},
                             at<std::uint16_t>(narrow_shares)};
      }));
  m.def("sgd_layout", &sgd_layout, NoGil(),
        "Epochs of UMAP's stochastic layout, on positions in place.");
  m.def("sgd_layout_part", &sgd_layout_part, NoGil(), "A step of that layout for some rows.");
}

void bind_metric_layout(py::module_& m) {
  py::enum_<OutputMetric>(m, "OutputMetric")
      .value("minkowski", OutputMetric::minkowski)
      .value("chebyshev", OutputMetric::chebyshev)
      .value("mahalanobis", OutputMetric::mahalanobis)
      .value("cosine", OutputMetric::cosine)
      .value("correlation", OutputMetric::correlation)
      .value("canberra", OutputMetric::canberra)
      .value("braycurtis", OutputMetric::braycurtis)
      .value("sphere", OutputMetric::sphere)
      .value("hyperboloid", OutputMetric::hyperboloid)
      .value("spherical_gaussian", OutputMetric::spherical_gaussian)
      .value("diagonal_gaussian", OutputMetric::diagonal_gaussian)
      .value("gaussian", OutputMetric::gaussian)
      .value("function", OutputMetric::function);
  m.def(
      "metric_layout",
      [](const SgdLayoutArgs& layout, OutputMetric metric, double p, Address parameters,
         Address function, const Target& target) {
        metric_layout({layout, metric, p, at<double>(parameters),
                       reinterpret_cast<MetricFunction::Pointer>(function)},
                      target);
      },
      NoGil(), "Epochs of the same layout by another metric between positions.");
}

void bind_density(py::module_& m) {
  py::class_<DensityGraph>(m, "DensityGraph")
      .def(
          py::init([](Address positions, Address indptr, Address tails, Index n, Index dim, float a,
                      float b) {
            return DensityGraph{
                at<float>(positions), at<Index>(indptr), at<std::int32_t>(tails), n, dim, {{a, b}}};
          }),
          "positions"_a, "indptr"_a, "tails"_a, "n"_a, "dim"_a, "a"_a, "b"_a);
  m.def(
      "density_radii",
      [](Address squares, Address strengths, const DensityGraph& graph, const Target& target) {
        density_radii({at<float>(squares), at<float>(strengths), graph}, target);
      },
      NoGil(), "Squared local radii of positions and the sums of their strengths.");
}

}  // namespace

void bind_layout(py::module_& m) {
  bind_sgd_layout(m);
  bind_metric_layout(m);
  bind_density(m);
}

}  // namespace fpd
