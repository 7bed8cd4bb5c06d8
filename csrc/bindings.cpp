// The Python module: one def an operation, from addresses and sizes to its argument struct.
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "dispatch.h"

namespace py = pybind11;
using namespace py::literals;
using namespace fpd;

namespace {

using Address = std::uintptr_t;
using Index = std::int64_t;
const auto no_gil = py::call_guard<py::gil_scoped_release>();

template <typename T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

void bind_graph(py::module_& m) {
  m.def(
      "smooth_knn",
      [](Address weights, Address rho, Address sigma, Address distances, Address global_mean,
         Index n, Index k, float target_sum, float local_connectivity, int counted,
         const Target& target) {
        smooth_knn({at<float>(weights),
                    at<float>(rho),
                    at<float>(sigma),
                    at<float>(distances),
                    at<float>(global_mean),
                    n,
                    k,
                    {target_sum, local_connectivity, counted}},
                   target);
      },
      no_gil, "Membership strengths, rho and sigma of kNN distances.");
  m.def(
      "perplexity",
      [](Address weights, Address beta, Address distances, Index n, Index k, float target_nats,
         const Target& target) {
        perplexity({at<float>(weights), at<float>(beta), at<float>(distances), n, k, target_nats},
                   target);
      },
      no_gil, "Conditional probabilities and precisions of kNN distances.");
  m.def("symmetrize_scratch", &symmetrize_scratch, "Bytes of scratch that symmetrize takes.");
  const auto symmetrize_args = [](Address indptr, Address heads, Address tails, Address weights,
                                  Address scratch, Address graph_indptr, Address graph_indices,
                                  Address graph_weights, Index n, Index nnz, int operation,
                                  float mix_ratio) {
    return SymmetrizeArgs{
        at<Index>(indptr),
        at<std::int32_t>(heads),
        at<std::int32_t>(tails),
        at<float>(weights),
        at<void>(scratch),
        {at<Index>(graph_indptr), at<std::int32_t>(graph_indices), at<float>(graph_weights)},
        n,
        nnz,
        {static_cast<SetOperation>(operation), mix_ratio}};
  };
  m.def(
      "symmetrize_plan",
      [=](Address indptr, Address scratch, Address graph_indptr, Address graph_indices,
          Address graph_weights, Index n, Index nnz, int operation, float mix_ratio,
          const Target& target) {
        symmetrize_plan(symmetrize_args(indptr, 0, 0, 0, scratch, graph_indptr, graph_indices,
                                        graph_weights, n, nnz, operation, mix_ratio),
                        target);
      },
      no_gil, "Sorts both directions of a graph and counts the rows of their join.");
  m.def(
      "symmetrize_fill",
      [=](Address indptr, Address heads, Address tails, Address weights, Address scratch, Index n,
          Index nnz, int operation, float mix_ratio, const Target& target) {
        symmetrize_fill(symmetrize_args(indptr, heads, tails, weights, scratch, 0, 0, 0, n, nnz,
                                        operation, mix_ratio),
                        target);
      },
      no_gil, "Writes the edges that symmetrize_plan counted.");
  m.def(
      "subgraph",
      [](Address out, Address points, Address places, Address indptr, Address indices,
         Address weights, Index m, const Target& target) {
        subgraph({at<float>(out), at<std::int32_t>(points), at<std::int32_t>(places),
                  at<Index>(indptr), at<std::int32_t>(indices), at<float>(weights), m},
                 target);
      },
      no_gil, "The square matrix of edges among some points.");
  m.def(
      "rerank",
      [](Address indices, Address distances, Address X, Address candidates, Address points,
         Index first_row, Index rows, Index count, Index dim, Index k, int metric, float p,
         const Target& target) {
        rerank({at<std::int32_t>(indices), at<float>(distances), at<float>(X),
                at<std::int32_t>(candidates), at<std::int32_t>(points), first_row, rows, count, dim,
                k, static_cast<Metric>(metric), p},
               target);
      },
      no_gil, "True distances to candidate neighbours, the k nearest of them in order.");
}

void bind_algebra(py::module_& m) {
  m.def(
      "graph_matmul",
      [](Address out, Address x, Address scale, Address gain, Address shift, Address previous,
         Address indptr, Address indices, Address weights, Index n, Index columns,
         const Target& target) {
        graph_matmul({at<double>(out), at<double>(x), at<double>(scale), at<double>(gain),
                      at<double>(shift), at<double>(previous), at<Index>(indptr),
                      at<std::int32_t>(indices), at<float>(weights), n, columns},
                     target);
      },
      no_gil, "Row- and column-scaled sparse product with dense columns.");
  m.def(
      "segment_gram",
      [](Address out, Address partials, Address x, Address y, Address starts, Address pieces,
         Index piece_count, Index segments, Index p, Index q, const Target& target) {
        segment_gram({at<double>(out), at<double>(partials), at<double>(x), at<double>(y),
                      at<Index>(starts), at<Index>(pieces), piece_count, segments, p, q},
                     target);
      },
      no_gil, "Products of columns with columns within segments of the rows.");
  m.def(
      "segment_matmul",
      [](Address out, Address x, Address matrices, Address segment_of, Index n, Index p, Index q,
         const Target& target) {
        segment_matmul({at<double>(out), at<double>(x), at<double>(matrices),
                        at<std::int32_t>(segment_of), n, p, q},
                       target);
      },
      no_gil, "Rows times the small matrix of their segment.");
  m.def(
      "nearest_in_tile",
      [](Address bounds, Address indices, Address cosines, Address row_norms, Address norms,
         float slack, Index rows, Index columns, Index width, Index first_column,
         const Target& target) {
        nearest_in_tile(
            {at<float>(bounds), at<std::int32_t>(indices), at<float>(cosines), at<float>(row_norms),
             at<float>(norms), slack, rows, columns, width, first_column},
            target);
      },
      no_gil, "The nearest columns of a tile of products join each row's list.");
}

void bind_descent(py::module_& m) {
  py::class_<Points>(m, "Points")
      .def(py::init([](Address rows, Index n, Index stride, Index dim) {
             return Points{at<float>(rows), n, stride, dim};
           }),
           "rows"_a, "n"_a, "stride"_a, "dim"_a);
  py::class_<NeighborLists>(m, "NeighborLists")
      .def(py::init([](Address indices, Address distances, Address rounds, Index width) {
             return NeighborLists{at<std::int32_t>(indices), at<float>(distances),
                                  at<std::uint8_t>(rounds), width};
           }),
           "indices"_a, "distances"_a, "rounds"_a, "width"_a);
  m.def(
      "project_rows",
      [](Address out, Address X, float scale, Address mean, Address basis, Index n, Index dim,
         Index stride, const Target& target) {
        project_rows({at<float>(out), at<float>(X), scale, at<float>(mean), at<float>(basis), n,
                      dim, stride},
                     target);
      },
      no_gil, "Scaled and centred rows times a basis.");
  m.def(
      "build_forest",
      [](Address orders, const Points& points, Index trees, Index first_tree, Index leaf,
         std::uint64_t seed, const Target& target) {
        build_forest({at<std::int32_t>(orders), points, trees, first_tree, leaf, seed}, target);
      },
      no_gil, "Random-projection trees, each as an order of the points.");
  m.def(
      "join_leaves",
      [](const NeighborLists& lists, const Points& points, Address order, Index leaf,
         const Target& target) {
        join_leaves({lists, points, at<std::int32_t>(order), leaf}, target);
      },
      no_gil, "Neighbours within the leaves of a tree.");
  m.def(
      "reverse_lists",
      [](Address reverse, const NeighborLists& lists, Index n, Index reach, int round,
         const Target& target) {
        reverse_lists({at<std::int32_t>(reverse), lists, n, reach, round}, target);
      },
      no_gil, "Who lists a point among its neighbours.");
  m.def(
      "nn_descent",
      [](const NeighborLists& lists, const Points& points, Address reverse, Index reach,
         Index first, Index last, int round, const Target& target) {
        return nn_descent({lists, points, at<std::int32_t>(reverse), reach, first, last, round},
                          target);
      },
      no_gil, "Neighbours among the neighbours of neighbours; returns how many are new.");
}

void bind_training(py::module_& m) {
  m.def("edge_table_scratch", &edge_table_scratch, "Bytes of scratch that edge_table takes.");
  m.def(
      "edge_table",
      [](Address cumulative, Address guide, Address scratch, Address weights, Index size,
         int guide_bits, double scale, const Target& target) {
        edge_table({at<Index>(cumulative), at<Index>(guide), at<void>(scratch), at<float>(weights),
                    size, guide_bits, scale},
                   target);
      },
      no_gil, "Running sums of quantised weights with their guide table.");
  m.def(
      "edge_draw",
      [](Address heads, Address tails, Address cumulative, Address guide, Index size,
         int guide_bits, Address edge_heads, Address edge_tails, Index batch, int negatives,
         Index n, std::uint64_t seed, std::uint64_t step, const Target& target) {
        edge_draw({at<std::int32_t>(heads),
                   at<std::int32_t>(tails),
                   {at<Index>(cumulative), at<Index>(guide), size, guide_bits},
                   at<std::int32_t>(edge_heads),
                   at<std::int32_t>(edge_tails),
                   batch,
                   negatives,
                   n,
                   seed,
                   step},
                  target);
      },
      no_gil, "Positive edges by weight and uniform negative tails.");
  m.def(
      "unique_nodes",
      [](Address nodes, Address positions, Address ids, Index size) {
        return cpu::unique_nodes(
            {at<std::int32_t>(nodes), at<std::int32_t>(positions), at<std::int32_t>(ids), size});
      },
      no_gil, "Distinct ids in order of appearance; returns how many.");
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
      no_gil, "Mean cross-entropy of a negative-sampled batch and its gradients.");
  m.def(
      "gather_rows",
      [](Address out, Address table, Address indices, Index m_rows, Index row_bytes,
         const Target& target) {
        gather_rows({at<std::uint8_t>(out), at<std::uint8_t>(table), at<std::int32_t>(indices),
                     m_rows, row_bytes},
                    target);
      },
      no_gil, "Rows of a table picked by index.");
}

void bind_layout(py::module_& m) {
  m.def(
      "sgd_layout",
      [](Address positions, Address scratch, Address anchors, Address indptr, Address tails,
         Address rates, Address streams, Index n, Index dim, Index tail_count, int negatives,
         int steps_per_epoch, Index first_epoch, Index last_epoch, Index n_epochs,
         float learning_rate, std::uint64_t seed, float a, float b, float repulsion_strength,
         const Target& target) {
        sgd_layout({at<float>(positions),
                    at<float>(scratch),
                    at<float>(anchors),
                    at<Index>(indptr),
                    at<std::int32_t>(tails),
                    at<std::uint32_t>(rates),
                    at<std::uint32_t>(streams),
                    n,
                    dim,
                    tail_count,
                    negatives,
                    steps_per_epoch,
                    first_epoch,
                    last_epoch,
                    n_epochs,
                    learning_rate,
                    seed,
                    {{a, b}, repulsion_strength}},
                   target);
      },
      no_gil, "Epochs of UMAP's stochastic layout, on positions in place.");
}

}  // namespace

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  m.doc() = "Native operations of fastparadime; fastparadime.ops is their only caller.";
  py::class_<Target>(m, "Target")
      .def(py::init([](const std::string& device, int threads, Address stream) {
             return Target{device == "cuda" ? Device::cuda : Device::cpu, threads,
                           at<void>(stream)};
           }),
           "device"_a, "threads"_a, "stream"_a = 0);
  m.attr("version") = FPD_VERSION;
  m.attr("compiler") = FPD_COMPILER;
  m.attr("simd_level") = cpu::simd_level();
  m.attr("cuda_version") = FPD_CUDA_VERSION;
  m.attr("cuda_architectures") = FPD_CUDA_ARCHITECTURES;
  m.attr("kListUnit") = kListUnit;
  m.attr("kListMost") = kListMost;
  m.attr("kHeadsPerPartial") = kHeadsPerPartial;
  bind_graph(m);
  bind_algebra(m);
  bind_descent(m);
  bind_training(m);
  bind_layout(m);
}
