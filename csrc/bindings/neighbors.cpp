// The nearest rows of each row, one def an operation.
#include <pybind11/pybind11.h>

#include <cstdint>

#include "bindings/common.h"
#include "dispatch.h"

namespace fpd {
namespace {

void bind_rerank(py::module_& m) {
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

void bind_tiles(py::module_& m) {
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
  py::enum_<ProductEngine>(m, "ProductEngine")
      .value("fastest", ProductEngine::fastest)
      .value("mma", ProductEngine::mma)
      .value("wgmma", ProductEngine::wgmma);
  m.def("most_unit_columns", &most_unit_columns, "Columns of units that an engine takes.");
  m.def(
      "nearest_by_cosines",
      [](const CandidateLists& lists, Address units, Address column_units, Address norms,
         float slack, Index columns, Index dim, Index first_column, ProductEngine engine,
         const Target& target) {
        nearest_by_cosines({lists, at<std::uint16_t>(units), at<std::uint16_t>(column_units),
                            at<float>(norms), slack, columns, dim, first_column, engine},
                           target);
      },
      NoGil(), "The nearest columns by products of unit rows join each row's list.");
  m.def(
      "nearest_by_differences",
      [](const CandidateLists& lists, Address X, Address points, Index rows, Index n, Index dim,
         Index parts, const Target& target) {
        nearest_by_differences({lists, at<float>(X), at<std::int32_t>(points), rows, n, dim, parts},
                               target);
      },
      NoGil(), "The nearest rows of some rows by differences of coordinates.");
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
      "nearest_in_groups",
      [](Address indices, Address squares, const PlainRows& queries, const PlainRows& rows,
         Address order, Address ends, Address met, Address met_ends, Index groups, Index width,
         const Target& target) {
        nearest_in_groups(
            {at<std::int32_t>(indices), at<float>(squares), queries, rows, at<std::int32_t>(order),
             at<Index>(ends), at<std::int32_t>(met), at<Index>(met_ends), groups, width},
            target);
      },
      NoGil(), "Rows nearest to queries, of those that the group of each meets.");
  m.def(
      "nearest_in_clusters",
      [](Address keys, Address X, Address centers, float scale, Index dim, Index width,
         Address members, Address names, Address starts, Address known, Address tasks, Index count,
         const Target& target) {
        nearest_in_clusters({at<std::uint64_t>(keys), at<float>(X), at<float>(centers), scale, dim,
                             width, at<std::int32_t>(members), at<std::int32_t>(names),
                             at<Index>(starts), at<Index>(known), at<ClusterTask>(tasks), count},
                            target);
      },
      NoGil(), "Rows that share a cluster join each other's lists.");
  m.def(
      "join_lists",
      [](Address keys, Address points, Address indices, Address distances, Index width, Index count,
         Index found, const Target& target) {
        join_lists({at<std::uint64_t>(keys), at<std::int32_t>(points), at<std::int32_t>(indices),
                    at<float>(distances), width, count, found},
                   target);
      },
      NoGil(), "What other searches found joins the lists of some points.");
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
         Index count, Index width, Index max_compared, int metric, float p, const Target& target) {
        kd_nearest({at<std::int32_t>(indices), at<Index>(compared), tree, at<std::int32_t>(leaves),
                    at<float>(queries), count, width, max_compared, static_cast<Metric>(metric), p},
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
      [](Address indices, const SparseRows& query_rows, const SparseRows& by_column, Address alone,
         Address points, Index queries, Index n, Index dim, Index count, int metric,
         const Target& target) {
        sparse_nearest(
            {at<std::int32_t>(indices), query_rows, by_column, at<float>(alone),
             at<std::int32_t>(points), queries, n, dim, count, static_cast<Metric>(metric)},
            target);
      },
      NoGil(), "The rows that score best for some sparse rows.");
  m.def(
      "sparse_rerank",
      [](Address indices, Address distances, const SparseRows& rows, const SparseRows& query_rows,
         Address candidates, Address points, Address itself, Index queries, Index dim, Index count,
         Index k, int metric, float p, const Target& target) {
        sparse_rerank(
            {at<std::int32_t>(indices), at<float>(distances), rows, query_rows,
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
      [](Address reverse, const NeighborLists& lists, Index n, Index max_candidates, int round,
         const Target& target) {
        reverse_lists({at<std::int32_t>(reverse), lists, n, max_candidates, round}, target);
      },
      NoGil(), "Who lists a point among its neighbours.");
  m.def(
      "nn_descent",
      [](const NeighborLists& lists, const Points& points, Address reverse, Index max_candidates,
         Index first, Index last, int round, const Target& target) {
        return nn_descent(
            {lists, points, at<std::int32_t>(reverse), max_candidates, first, last, round}, target);
      },
      NoGil(), "Neighbours among the neighbours of neighbours; returns how many are new.");
}

}  // namespace

void bind_neighbors(py::module_& m) {
  bind_rerank(m);
  bind_tiles(m);
  bind_products(m);
  bind_trees(m);
  bind_sparse(m);
  bind_binary(m);
  bind_descent(m);
}

}  // namespace fpd
