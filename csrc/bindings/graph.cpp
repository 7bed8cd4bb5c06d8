// From neighbours to the graph and what is solved on it, one def an operation.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>

#include "../dispatch.h"
#include "common.h"

namespace fpd {

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
      NoGil(), "Sorts both directions of a graph and counts the rows of their join.");
  m.def(
      "symmetrize_fill",
      [=](Address indptr, Address heads, Address tails, Address weights, Address scratch, Index n,
          Index nnz, int operation, float mix_ratio, const Target& target) {
        symmetrize_fill(symmetrize_args(indptr, heads, tails, weights, scratch, 0, 0, 0, n, nnz,
                                        operation, mix_ratio),
                        target);
      },
      NoGil(), "Writes the edges that symmetrize_plan counted.");
  m.def(
      "subgraph",
      [](Address out, Address points, Address places, Address indptr, Address indices,
         Address weights, Index m, const Target& target) {
        subgraph({at<float>(out), at<std::int32_t>(points), at<std::int32_t>(places),
                  at<Index>(indptr), at<std::int32_t>(indices), at<float>(weights), m},
                 target);
      },
      NoGil(), "The square matrix of edges among some points.");
  m.def(
      "rerank",
      [](Address indices, Address distances, Address X, Address candidates, Address points,
         Address queries, Index first_row, Index rows, Index count, Index dim, Index k, int metric,
         float p, const Target& target) {
        rerank({at<std::int32_t>(indices), at<float>(distances), at<float>(X),
                at<std::int32_t>(candidates), at<std::int32_t>(points), at<float>(queries),
                first_row, rows, count, dim, k, static_cast<Metric>(metric), p},
               target);
      },
      NoGil(), "True distances to candidate neighbours, the k nearest of them in order.");
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

void bind_candidates(py::module_& m) {
  py::class_<CandidateLists>(m, "CandidateLists")
      .def(
          py::init([](Address bounds, Address indices, Address row_norms, Index rows, Index width) {
            return CandidateLists{at<float>(bounds), at<std::int32_t>(indices),
                                  at<float>(row_norms), rows, width};
          }),
          "bounds"_a, "indices"_a, "row_norms"_a, "rows"_a, "width"_a);
  m.def(
      "nearest_in_tile",
      [](const CandidateLists& lists, Address cosines, Address norms, float slack, Index columns,
         Index first_column, const Target& target) {
        nearest_in_tile({lists, at<float>(cosines), at<float>(norms), slack, columns, first_column},
                        target);
      },
      NoGil(), "The nearest columns of a tile of products join each row's list.");
  m.def(
      "nearest_by_cosines",
      [](const CandidateLists& lists, Address units, Address column_units, Address norms,
         float slack, Index columns, Index dim, Index first_column, const Target& target) {
        nearest_by_cosines({lists, at<std::uint16_t>(units), at<std::uint16_t>(column_units),
                            at<float>(norms), slack, columns, dim, first_column},
                           target);
      },
      NoGil(), "The nearest columns by products of unit rows join each row's list.");
}

void bind_products(py::module_& m) {
  py::class_<ProductLists>(m, "ProductLists")
      .def(py::init([](Address keys, Address sizes, Address bounds, Index width, Index capacity) {
             return ProductLists{at<std::uint64_t>(keys), at<std::int32_t>(sizes),
                                 at<float>(bounds), width, capacity};
           }),
           "keys"_a, "sizes"_a, "bounds"_a, "width"_a, "capacity"_a);
  py::class_<ProductTable>(m, "ProductTable")
      .def(py::init([](Address values, Address norms, Index n, Index dim) {
             return ProductTable{at<float>(values), at<float>(norms), n, dim};
           }),
           "values"_a, "norms"_a, "n"_a, "dim"_a);
  py::class_<PlainRows>(m, "PlainRows")
      .def(py::init([](Address values, Address mean, float scale, Index dim) {
             return PlainRows{at<float>(values), at<float>(mean), scale, dim};
           }),
           "values"_a, "mean"_a, "scale"_a, "dim"_a);
  m.def(
      "pack_rows",
      [](const ProductTable& table, const PlainRows& rows, const Target& target) {
        pack_rows({table, rows}, target);
      },
      NoGil(), "Rows as products take them.");
  m.def(
      "nearest_pairs",
      [](const ProductLists& lists, const ProductTable& table, Index first_round, Index last_round,
         const Target& target) { nearest_pairs({lists, table, first_round, last_round}, target); },
      NoGil(), "Rows of a table join the lists of its rows, a few rounds of blocks.");
  m.def(
      "nearest_to_queries",
      [](const ProductLists& lists, const ProductTable& queries, const PlainRows& rows, Index first,
         Index last, Index parts, const Target& target) {
        nearest_to_queries({lists, queries, rows, first, last, parts}, target);
      },
      NoGil(), "Some rows join the lists of queries.");
  m.def(
      "read_lists",
      [](Address indices, Address squares, const ProductLists& lists, Index parts, Index rows,
         const Target& target) {
        read_lists({at<std::int32_t>(indices), at<float>(squares), lists, parts, rows}, target);
      },
      NoGil(), "What lists keep, in order.");
  m.def(
      "nearest_in_clusters",
      [](Address keys, Address X, Address centers, float scale, Index dim, Index width,
         Address members, Address starts, Address known, Address tasks, Index count,
         const Target& target) {
        nearest_in_clusters({at<std::uint64_t>(keys), at<float>(X), at<float>(centers), scale, dim,
                             width, at<std::int32_t>(members), at<Index>(starts), at<Index>(known),
                             at<ClusterTask>(tasks), count},
                            target);
      },
      NoGil(), "Rows that share a cluster join each other's lists.");
}

void bind_trees(py::module_& m) {
  py::class_<KdTree>(m, "KdTree")
      .def(py::init([](Address values, Address order, Address boxes, Index n, Index dim) {
             return KdTree{at<float>(values), at<std::int32_t>(order), at<float>(boxes), n, dim};
           }),
           "values"_a, "order"_a, "boxes"_a, "n"_a, "dim"_a);
  m.def(
      "build_kd_tree",
      [](const KdTree& tree, Address keys, Address X, int level, Index first, Index last,
         const Target& target) {
        return build_kd_tree({tree, at<std::uint64_t>(keys), at<float>(X), level, first, last},
                             target);
      },
      NoGil(), "Nodes of a level of a k-d tree; whether there are nodes below.");
  m.def(
      "kd_nearest",
      [](Address indices, Address compared, const KdTree& tree, Address leaves, Address queries,
         Index count, Index width, Index most, int metric, float p, const Target& target) {
        kd_nearest({at<std::int32_t>(indices), at<Index>(compared), tree, at<std::int32_t>(leaves),
                    at<float>(queries), count, width, most, static_cast<Metric>(metric), p},
                   target);
      },
      NoGil(), "The nearest rows of a tree to those of some of its leaves, or to queries.");
}

void bind_sparse(py::module_& m) {
  py::class_<SparseRows>(m, "SparseRows")
      .def(py::init([](Address indptr, Address columns, Address values) {
             return SparseRows{at<Index>(indptr), at<std::int32_t>(columns), at<float>(values)};
           }),
           "indptr"_a, "columns"_a, "values"_a);
  m.def(
      "sparse_nearest",
      [](Address indices, const SparseRows& asked, const SparseRows& by_column, Address alone,
         Address points, Index queries, Index n, Index dim, Index count, int metric,
         const Target& target) {
        sparse_nearest(
            {at<std::int32_t>(indices), asked, by_column, at<float>(alone),
             at<std::int32_t>(points), queries, n, dim, count, static_cast<Metric>(metric)},
            target);
      },
      NoGil(), "The rows that score best for some sparse rows.");
  m.def(
      "sparse_rerank",
      [](Address indices, Address distances, const SparseRows& rows, const SparseRows& asked,
         Address candidates, Address points, Address itself, Index queries, Index dim, Index count,
         Index k, int metric, float p, const Target& target) {
        sparse_rerank(
            {at<std::int32_t>(indices), at<float>(distances), rows, asked,
             at<std::int32_t>(candidates), at<std::int32_t>(points), at<std::int32_t>(itself),
             queries, dim, count, k, static_cast<Metric>(metric), p},
            target);
      },
      NoGil(), "True distances of sparse rows to candidates, the k nearest of them in order.");
}

void bind_binary(py::module_& m) {
  py::class_<BinaryRows>(m, "BinaryRows")
      .def(py::init([](Address words, Address indptr, Address columns, Address sizes, Index width) {
             return BinaryRows{at<std::uint64_t>(words), at<Index>(indptr),
                               at<std::int32_t>(columns), at<float>(sizes), width};
           }),
           "words"_a, "indptr"_a, "columns"_a, "sizes"_a, "width"_a);
  m.def(
      "nearest_binary",
      [](Address indices, Address distances, const BinaryRows& rows, const BinaryRows& queries,
         Index first, Index count, Index itself, Index n, Index dim, Index k, int metric,
         const Target& target) {
        nearest_binary({at<std::int32_t>(indices), at<float>(distances), rows, queries, first,
                        count, itself, n, dim, k, static_cast<BinaryMetric>(metric)},
                       target);
      },
      NoGil(), "The rows of zeros and ones nearest to some.");
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
      NoGil(), "Scaled and centred rows times a basis.");
  m.def(
      "build_forest",
      [](Address orders, const Points& points, Index trees, Index first_tree, Index leaf,
         std::uint64_t seed, const Target& target) {
        build_forest({at<std::int32_t>(orders), points, trees, first_tree, leaf, seed}, target);
      },
      NoGil(), "Random-projection trees, each as an order of the points.");
  m.def(
      "join_leaves",
      [](const NeighborLists& lists, const Points& points, Address order, Index leaf,
         const Target& target) {
        join_leaves({lists, points, at<std::int32_t>(order), leaf}, target);
      },
      NoGil(), "Neighbours within the leaves of a tree.");
  m.def(
      "reverse_lists",
      [](Address reverse, const NeighborLists& lists, Index n, Index reach, int round,
         const Target& target) {
        reverse_lists({at<std::int32_t>(reverse), lists, n, reach, round}, target);
      },
      NoGil(), "Who lists a point among its neighbours.");
  m.def(
      "nn_descent",
      [](const NeighborLists& lists, const Points& points, Address reverse, Index reach,
         Index first, Index last, int round, const Target& target) {
        return nn_descent({lists, points, at<std::int32_t>(reverse), reach, first, last, round},
                          target);
      },
      NoGil(), "Neighbours among the neighbours of neighbours; returns how many are new.");
}

}  // namespace fpd
