// Networks on a device: training steps as one operation, and a network on rows.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <stdexcept>
#include <tuple>
#include <vector>

#include "bindings/common.h"
#include "dispatch.h"
#include "ops/training/blocks/embed_tile.h"
#include "ops/training/blocks/plan.h"

namespace fpd {
namespace {

using Layers = std::vector<std::tuple<Address, Address, int, int>>;

EmbedRowsArgs network_of(const Layers& layers, int activation) {
  EmbedRowsArgs args{};
  if (layers.size() < 2 || layers.size() > kMaxHiddenLayers + 1) {
    throw std::length_error("too few or too many layers");
  }
  args.network.activation = static_cast<Activation>(activation);
  for (const auto& [weight, bias, in, out] : layers) {
    const DenseLayer layer{at<float>(weight), at<float>(bias), in, out};
    (args.first.out == 0 ? args.first : args.network.layers[args.network.count++]) = layer;
  }
  return args;
}

EdgeStepArgs planned_step(const Layers& layers, int activation, Index batch, int negatives,
                          std::size_t shared_bytes) {
  EdgeStepArgs args{};
  const EmbedRowsArgs whole = network_of(layers, activation);
  args.first = whole.first;
  args.network = whole.network;
  args.draw.batch = batch;
  args.draw.negatives = negatives;
  StepTensors& tensors = args.tensors;
  for (const auto& [weight, bias, in, out] : layers) {
    for (const auto& [address, size] :
         {std::pair{weight, Index{in} * out}, std::pair{bias, Index{out}}}) {
      tensors.values[tensors.count] = at<float>(address);
      tensors.begin[tensors.count + 1] = tensors.begin[tensors.count] + size;
      ++tensors.count;
    }
  }
  args.plan = edge_step_plan(args, shared_bytes);
  return args;
}

void bind_arrays(py::class_<EdgeStepArgs>& step) {
  step.def(
      "use_edges",
      [](EdgeStepArgs& args, Address cumulative, Address guide, Index size, int guide_bits,
         Address edge_heads, Address edge_tails, Index n, std::uint64_t seed) {
        args.draw.table = {at<Index>(cumulative), at<Index>(guide), size, guide_bits};
        args.draw.edge_heads = at<std::int32_t>(edge_heads);
        args.draw.edge_tails = at<std::int32_t>(edge_tails);
        args.draw.n = n;
        args.draw.seed = seed;
      },
      "What batches are drawn from.");
  step.def(
      "use_loss",
      [](EdgeStepArgs& args, float a, float b, float epsilon, float repulsion_strength) {
        args.cross_entropy = {{a, b}, epsilon, repulsion_strength};
      },
      "The loss of an edge.");
  step.def(
      "use_arrays",
      [](EdgeStepArgs& args, Address table, Address means, Address squares, Address gradients,
         Address losses, Index steps, Address rates, Address counters, Address scratch) {
        args.table = at<float>(table);
        args.means = at<float>(means);
        args.squares = at<float>(squares);
        args.gradients = at<float>(gradients);
        args.losses = at<float>(losses);
        args.steps = steps;
        args.rates = at<float>(rates);
        args.counters = at<std::int64_t>(counters);
        args.draw.counter = args.counters;
        args.scratch = edge_step_scratch(args, at<void>(scratch)).arrays;
      },
      "Rows, and what steps keep.");
  step.def(
      "use_adam",
      [](EdgeStepArgs& args, float rate, float beta1, float beta2, float epsilon) {
        args.rate = rate;
        args.rule = {beta1, beta2, epsilon, 0.0f, 0.0f};
      },
      "The optimizer's settings.");
}

}  // namespace

void bind_edge_step(py::module_& m) {
  py::class_<EdgeStepArgs> step(m, "EdgeStep");
  step.def(py::init(&planned_step), "layers"_a, "activation"_a, "batch"_a, "negatives"_a,
           "shared_bytes"_a);
  step.def_property_readonly(
      "tile_rows", [](const EdgeStepArgs& args) { return args.plan.rows; },
      "Rows of a tile; 0 where the network does not fit.");
  step.def_property_readonly(
      "resident", [](const EdgeStepArgs& args) { return args.plan.resident; },
      "Whether weights stay in shared memory.");
  step.def_property_readonly(
      "size", [](const EdgeStepArgs& args) { return args.tensors.begin[args.tensors.count]; },
      "Of all weights and biases.");
  step.def_property_readonly(
      "scratch_bytes",
      [](const EdgeStepArgs& args) { return edge_step_scratch(args, nullptr).bytes; },
      "Of scratch that a step takes.");
  bind_arrays(step);
  m.def(
      "product_places",
      [](int lane) {
        std::vector<std::tuple<int, int>> places;
        const auto add = [&](Place place) { places.emplace_back(place.row, place.column); };
        for (int i = 0; i < 4; ++i) add(left_place(lane, i));
        for (int i = 0; i < 2; ++i) add(right_place(lane, i));
        for (int i = 0; i < 4; ++i) add(sum_place(lane, i));
        return places;
      },
      "Where a lane's numbers of a left factor (4), a right one (2) and a sum (4) are.");
  m.def("block_shared_bytes", &block_shared_bytes,
        "Shared memory that a block may have on a device.");
  m.def(
      "embed_rows_fit",
      [](const Layers& layers, std::size_t shared_bytes) {
        return embed_rows_fit(network_of(layers, 0), shared_bytes);
      },
      "Whether a block holds a network.");
  m.def(
      "embed_rows",
      [](const Layers& layers, int activation, Address out, Address table, Index rows,
         const Target& target) {
        EmbedRowsArgs args = network_of(layers, activation);
        args.out = at<float>(out);
        args.table = at<float>(table);
        args.rows = rows;
        embed_rows(args, target);
      },
      NoGil(), "A network on the rows of a table.");
  m.def(
      "edge_step", [](const EdgeStepArgs& args, const Target& target) { edge_step(args, target); },
      NoGil(), "A training step.");
}

}  // namespace fpd
