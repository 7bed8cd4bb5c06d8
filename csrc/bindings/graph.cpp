// From neighbours to the graph and what is solved on it, one def an operation.
#include <pybind11/pybind11.h>

#include <cstdint>

#include "bindings/common.h"
#include "dispatch.h"

namespace fpd {
namespace {

void bind_edges(py::module_& m) {
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
      NoGil(), "Membership strengths, rho and sigma of kNN distances.");
  m.def(
      "perplexity",
      [](Address weights, Address beta, Address distances, Index n, Index k, float target_nats,
         const Target& target) {
        perplexity({at<float>(weights), at<float>(beta), at<float>(distances), n, k, target_nats},
                   target);
      },
      NoGil(), "Conditional probabilities and precisions of kNN distances.");
  m.def("symmetrize_scratch", &symmetrize_scratch, "Bytes of scratch that symmetrize takes.");
  m.def(
      "symmetrize_range_scratch",
      [](Index n, const HeadRange& range, Index forward) {
        return cpu::symmetrize_range_scratch(n, range, forward);
      },
      "The same of a range of heads, on the CPU.");
  py::class_<HeadRange>(m, "HeadRange")
      .def(py::init([](Index first, Index last, Index transposed) {
             return HeadRange{first, last, transposed};
           }),
           "first"_a, "last"_a, "transposed"_a);
  const auto symmetrize_args = [](Address indptr, Address heads, Address tails, Address weights,
                                  Address scratch, Address graph_indptr, Address graph_indices,
                                  Address graph_weights, Index n, Index nnz, Index longest,
                                  int operation, float mix_ratio, const HeadRange& range) {
    return SymmetrizeArgs{
        at<Index>(indptr),
        at<std::int32_t>(heads),
        at<std::int32_t>(tails),
        at<float>(weights),
        at<void>(scratch),
        {at<Index>(graph_indptr), at<std::int32_t>(graph_indices), at<float>(graph_weights)},
        n,
        nnz,
        longest,
        {static_cast<SetOperation>(operation), mix_ratio},
        range};
  };
  m.def(
      "symmetrize_plan",
      [=](Address indptr, Address scratch, Address graph_indptr, Address graph_indices,
          Address graph_weights, Index n, Index nnz, Index longest, int operation, float mix_ratio,
          const HeadRange& range, const Target& target) {
        symmetrize_plan(
            symmetrize_args(indptr, 0, 0, 0, scratch, graph_indptr, graph_indices, graph_weights, n,
                            nnz, longest, operation, mix_ratio, range),
            target);
      },
      NoGil(), "Sorts both directions of a graph and counts the rows of their join.");
  m.def(
      "symmetrize_fill",
      [=](Address indptr, Address heads, Address tails, Address weights, Address scratch,
          Address graph_indptr, Index n, Index nnz, int operation, float mix_ratio,
          const HeadRange& range, const Target& target) {
        symmetrize_fill(symmetrize_args(indptr, heads, tails, weights, scratch, graph_indptr, 0, 0,
                                        n, nnz, 0, operation, mix_ratio, range),
                        target);
      },
      NoGil(), "Writes the edges that symmetrize_plan counted.");
  m.def(
      "components",
      [](Address roots, Address indptr, Address indices, Index n) {
        cpu::components({at<std::int32_t>(roots), at<Index>(indptr), at<std::int32_t>(indices), n});
      },
      NoGil(), "The first point of each point's component.");
  m.def(
      "shared_neighbors",
      [](Address counts, Address candidates, Address lists, Index n, Index k, Index stride,
         const Target& target) {
        shared_neighbors({at<std::int32_t>(counts), at<std::int32_t>(candidates),
                          at<std::int32_t>(lists), n, k, stride},
                         target);
      },
      NoGil(), "Neighbours in common of points and their candidates.");
  m.def(
      "subgraph",
      [](Address out, Address points, Address places, Address indptr, Address indices,
         Address weights, Index m, const Target& target) {
        subgraph({at<float>(out), at<std::int32_t>(points), at<std::int32_t>(places),
                  at<Index>(indptr), at<std::int32_t>(indices), at<float>(weights), m},
                 target);
      },
      NoGil(), "The square matrix of edges among some points.");
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
      NoGil(), "Row- and column-scaled sparse product with dense columns.");
  m.def(
      "segment_gram",
      [](Address out, Address partials, Address x, Address y, Address starts, Address pieces,
         Index piece_count, Index segments, Index p, Index q, const Target& target) {
        segment_gram({at<double>(out), at<double>(partials), at<double>(x), at<double>(y),
                      at<Index>(starts), at<Index>(pieces), piece_count, segments, p, q},
                     target);
      },
      NoGil(), "Products of columns with columns within segments of the rows.");
  m.def(
      "segment_matmul",
      [](Address out, Address x, Address matrices, Address segment_of, Index n, Index p, Index q,
         const Target& target) {
        segment_matmul({at<double>(out), at<double>(x), at<double>(matrices),
                        at<std::int32_t>(segment_of), n, p, q},
                       target);
      },
      NoGil(), "Rows times the small matrix of their segment.");
}

}  // namespace

void bind_graph(py::module_& m) {
  bind_edges(m);
  bind_algebra(m);
}

}  // namespace fpd
