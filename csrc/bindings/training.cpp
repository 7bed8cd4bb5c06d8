// Draws, losses and networks, one def an operation.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/common.h"
#include "dispatch.h"

namespace fpd {
namespace {

void bind_batches(py::module_& m) {
  m.def("edge_table_scratch", &edge_table_scratch, "Bytes of scratch that edge_table takes.");
  m.def(
      "edge_table",
      [](Address cumulative, Address guide, Address scratch, Address weights, Index size,
         int guide_bits, double scale, const Target& target) {
        edge_table({at<Index>(cumulative), at<Index>(guide), at<void>(scratch), at<float>(weights),
                    size, guide_bits, scale},
                   target);
      },
      NoGil(), "Running sums of quantised weights with their guide table.");
  m.def(
      "edge_draw",
      [](Address heads, Address tails, Address cumulative, Address guide, Index size,
         int guide_bits, Address edge_heads, Address edge_tails, Index batch, int negatives,
         Index n, std::uint64_t seed, std::uint64_t step, Address counter, const Target& target) {
        edge_draw({at<std::int32_t>(heads),
                   at<std::int32_t>(tails),
                   {at<Index>(cumulative), at<Index>(guide), size, guide_bits},
                   at<std::int32_t>(edge_heads),
                   at<std::int32_t>(edge_tails),
                   batch,
                   negatives,
                   n,
                   seed,
                   step,
                   at<std::int64_t>(counter)},
                  target);
      },
      NoGil(), "Positive edges by weight and uniform negative tails.");
  m.def(
      "unique_nodes",
      [](Address nodes, Address positions, Address ids, Index size) {
        return cpu::unique_nodes(
            {at<std::int32_t>(nodes), at<std::int32_t>(positions), at<std::int32_t>(ids), size});
      },
      NoGil(), "Distinct ids in order of appearance; returns how many.");
  m.def(
      "edge_loss",
      [](Address loss, Address head_grad, Address tail_grad, Address partials, Address heads,
         Address tails, Index batch, Index slots, Index dim, float a, float b, float epsilon,
         float repulsion_strength, const Target& target) {
        edge_loss({at<float>(loss),
                   at<float>(head_grad),
                   at<float>(tail_grad),
                   at<double>(partials),
                   at<float>(heads),
                   at<float>(tails),
                   batch,
                   slots,
                   dim,
                   {{a, b}, epsilon, repulsion_strength}},
                  target);
      },
      NoGil(), "Mean cross-entropy of a negative-sampled batch and its gradients.");
  m.def(
      "anchor_loss",
      [](Address loss, Address gradient, Address row_losses, Address scores, Address positions,
         Address anchors, Address reaches, Index rows, Index count, Index dim,
         const Target& target) {
        anchor_loss(
            {at<float>(loss), at<float>(gradient), at<double>(row_losses), at<float>(scores),
             at<float>(positions), at<float>(anchors), at<float>(reaches), rows, count, dim},
            target);
      },
      NoGil(), "Mean cross-entropy of the anchors that positions ask for, and its gradient.");
  m.def(
      "anchor_modes",
      [](Address modes, Address moves, Address scores, Address anchors, Address windows, Index rows,
         Index count, Index dim, const Target& target) {
        anchor_modes({at<float>(modes), at<float>(moves), at<float>(scores), at<float>(anchors),
                      at<float>(windows), rows, count, dim},
                     target);
      },
      NoGil(), "Where the anchors that rows have scores for have a peak.");
  m.def(
      "gather_rows",
      [](Address out, Address table, Address indices, Index m_rows, Index row_bytes,
         const Target& target) {
        gather_rows({at<std::uint8_t>(out), at<std::uint8_t>(table), at<std::int32_t>(indices),
                     m_rows, row_bytes},
                    target);
      },
      NoGil(), "Rows of a table picked by index.");
  m.def(
      "scatter_add",
      [](Address out, Address rows, Address indices, Index n, Index m_rows, Index dim) {
        cpu::scatter_add(
            {at<float>(out), at<float>(rows), at<std::int32_t>(indices), n, m_rows, dim});
      },
      NoGil(), "Sums of the rows that have an index in common.");
}

void bind_network(py::module_& m) {
  py::class_<MlpLayer>(m, "MlpLayer")
      .def(
          py::init([](Address weight, Address bias, Address transposed, Address values,
                      Address slopes, Address weight_grad, Address bias_grad, Index in, Index out) {
            return MlpLayer{at<float>(weight),
                            at<float>(bias),
                            at<float>(transposed),
                            at<float>(values),
                            at<float>(slopes),
                            at<float>(weight_grad),
                            at<float>(bias_grad),
                            in,
                            out};
          }),
          "weight"_a, "bias"_a, "transposed"_a, "values"_a, "slopes"_a, "weight_grad"_a,
          "bias_grad"_a, "in_dim"_a, "out_dim"_a);
  py::class_<Mlp>(m, "Mlp").def(
      py::init([](std::vector<MlpLayer> layers, int activation, bool softmax, Address input_mean,
                  float input_scale, Address output_mean, float output_scale) {
        return Mlp{{at<float>(input_mean), input_scale},
                   {at<float>(output_mean), output_scale},
                   static_cast<Activation>(activation),
                   softmax,
                   std::move(layers)};
      }),
      "layers"_a, "activation"_a, py::kw_only(), "softmax"_a, "input_mean"_a, "input_scale"_a,
      "output_mean"_a, "output_scale"_a);
  m.def(
      "mlp_forward",
      [](const Mlp& mlp, Address table, Address ids, Index rows, int threads) {
        cpu::mlp_forward({mlp, {at<float>(table), at<std::int32_t>(ids), rows}}, threads);
      },
      NoGil(), "A network's values and slopes for rows of a table.");
  m.def(
      "mlp_backward",
      [](const Mlp& mlp, Address table, Address ids, Index rows, Address out_grad, int threads) {
        cpu::mlp_backward({mlp, {at<float>(table), at<std::int32_t>(ids), rows}},
                          at<float>(out_grad), threads);
      },
      NoGil(), "Gradients of a network's weights, after its forward pass.");
  m.def(
      "mlp_jacobian",
      [](const Mlp& mlp, Address jacobian, Index rows, int threads) {
        cpu::mlp_jacobian({mlp, {nullptr, nullptr, rows}}, at<float>(jacobian), threads);
      },
      NoGil(), "A network's derivatives in the rows of its forward pass.");
  m.def(
      "adam",
      [](Address parameter, Address mean, Address square, Address gradient, Index size, float beta1,
         float beta2, float epsilon, float step_size, float square_scale, int threads) {
        cpu::adam({at<float>(parameter),
                   at<float>(mean),
                   at<float>(square),
                   at<float>(gradient),
                   size,
                   {beta1, beta2, epsilon, step_size, square_scale}},
                  threads);
      },
      NoGil(), "A step of Adam on one tensor.");
}

void bind_hidden_layers(py::module_& m) {
  py::class_<HiddenLayers>(m, "HiddenLayers")
      .def(py::init([](const std::vector<std::tuple<Address, Address, int, int>>& layers,
                       int activation) {
             HiddenLayers network{{}, 0, 0, static_cast<Activation>(activation)};
             if (layers.size() > kMaxHiddenLayers) throw std::length_error("too many layers");
             for (const auto& [weight, bias, in, out] : layers) {
               network.layers[network.count++] = {at<float>(weight), at<float>(bias), in, out};
               network.widest = std::max({network.widest, in, out});
             }
             return network;
           }),
           "layers"_a, "activation"_a)
      .def("partials_size", &hidden_partials_size, "Floats of scratch that hidden_backward takes.");
  m.def("hidden_layers_fit", &hidden_layers_fit, "Whether layers so wide can go together.");
  m.def(
      "hidden_forward",
      [](const HiddenLayers& network, Address out, Address sums, Address input, Index rows,
         const Target& target) {
        hidden_forward({at<float>(out), at<float>(sums), at<float>(input), rows, network}, target);
      },
      NoGil(), "The layers behind a network's first.");
  m.def(
      "hidden_backward",
      [](const HiddenLayers& network, Address input_grad, Address gradients, Address partials,
         Address out_grad, Address input, Address sums, Index rows, const Target& target) {
        hidden_backward({at<float>(input_grad), at<float>(gradients), at<float>(partials),
                         at<float>(out_grad), at<float>(input), at<float>(sums), rows, network},
                        target);
      },
      NoGil(), "Gradients of those layers in their input, weights and biases.");
}

}  // namespace

void bind_training(py::module_& m) {
  bind_batches(m);
  bind_network(m);
  bind_hidden_layers(m);
}

}  // namespace fpd
