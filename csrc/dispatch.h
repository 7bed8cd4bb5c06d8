// From a target to cpu:: or cuda::, and the only place that knows whether CUDA was built.
#pragma once

#include <cstddef>
#include <stdexcept>

#include "ops/graph/components.h"
#include "ops/graph/graph_matmul.h"
#include "ops/graph/perplexity.h"
#include "ops/graph/segments.h"
#include "ops/graph/shared_neighbors.h"
#include "ops/graph/smooth_knn.h"
#include "ops/graph/subgraph.h"
#include "ops/graph/symmetrize.h"
#include "ops/layout/density.h"
#include "ops/layout/metric_layout.h"
#include "ops/layout/sgd_layout.h"
#include "ops/neighbors/join_lists.h"
#include "ops/neighbors/kd_tree.h"
#include "ops/neighbors/nearest_binary.h"
#include "ops/neighbors/nearest_by_cosines.h"
#include "ops/neighbors/nearest_by_differences.h"
#include "ops/neighbors/nearest_by_products.h"
#include "ops/neighbors/nearest_in_clusters.h"
#include "ops/neighbors/nearest_in_groups.h"
#include "ops/neighbors/nearest_in_tile.h"
#include "ops/neighbors/nn_descent.h"
#include "ops/neighbors/rerank.h"
#include "ops/neighbors/sparse_rows.h"
#include "ops/support/cuda_versions.h"
#include "ops/support/target.h"
#include "ops/support/warp_product.h"
#include "ops/training/adam.h"
#include "ops/training/anchor_loss.h"
#include "ops/training/anchor_modes.h"
#include "ops/training/edge_loss.h"
#include "ops/training/edge_sampler.h"
#include "ops/training/edge_step.h"
#include "ops/training/embed_rows.h"
#include "ops/training/gather_rows.h"
#include "ops/training/hidden_layers.h"
#include "ops/training/mlp.h"

#if FPD_WITH_CUDA
#define FPD_DISPATCH(op, args, target)                               \
  ((target).device == Device::cuda ? cuda::op(args, (target).stream) \
                                   : cpu::op(args, (target).threads))
#define FPD_DISPATCH_SIZE(op, target, ...) \
  ((target).device == Device::cuda ? cuda::op(__VA_ARGS__) : cpu::op(__VA_ARGS__))
#else
#define FPD_DISPATCH(op, args, target) (require_cpu(target), cpu::op(args, (target).threads))
#define FPD_DISPATCH_SIZE(op, target, ...) (require_cpu(target), cpu::op(__VA_ARGS__))
#endif

namespace fpd {

#if !FPD_WITH_CUDA
inline void require_cpu(const Target& target) {
  if (target.device == Device::cuda) {
    throw std::runtime_error(
        "this build of fastparadime has no CUDA code: install it with "
        "-C cmake.define.FASTPARADIME_CUDA=ON where nvcc is on the path, or use device='cpu'");
  }
}
#endif

inline CudaVersions cuda_versions() {
#if FPD_WITH_CUDA
  return cuda::versions();
#else
  return {};
#endif
}

// clang-format off
inline void smooth_knn(const SmoothKnnArgs& a, const Target& t) { FPD_DISPATCH(smooth_knn, a, t); }
inline void shared_neighbors(const SharedNeighborsArgs& a, const Target& t) { FPD_DISPATCH(shared_neighbors, a, t); }
inline void perplexity(const PerplexityArgs& a, const Target& t) { FPD_DISPATCH(perplexity, a, t); }
inline void symmetrize_plan(const SymmetrizeArgs& a, const Target& t) { FPD_DISPATCH(symmetrize_plan, a, t); }
inline void symmetrize_fill(const SymmetrizeArgs& a, const Target& t) { FPD_DISPATCH(symmetrize_fill, a, t); }
inline void edge_table(const EdgeTableArgs& a, const Target& t) { FPD_DISPATCH(edge_table, a, t); }
inline void edge_draw(const EdgeDrawArgs& a, const Target& t) { FPD_DISPATCH(edge_draw, a, t); }
inline void anchor_loss(const AnchorLossArgs& a, const Target& t) { FPD_DISPATCH(anchor_loss, a, t); }
inline void anchor_modes(const AnchorModesArgs& a, const Target& t) { FPD_DISPATCH(anchor_modes, a, t); }
inline void edge_loss(const EdgeLossArgs& a, const Target& t) { FPD_DISPATCH(edge_loss, a, t); }
inline void gather_rows(const GatherRowsArgs& a, const Target& t) { FPD_DISPATCH(gather_rows, a, t); }
inline void graph_matmul(const GraphMatmulArgs& a, const Target& t) { FPD_DISPATCH(graph_matmul, a, t); }
inline void segment_gram(const SegmentGramArgs& a, const Target& t) { FPD_DISPATCH(segment_gram, a, t); }
inline void segment_matmul(const SegmentMatmulArgs& a, const Target& t) { FPD_DISPATCH(segment_matmul, a, t); }
inline void nearest_by_cosines(const NearestByCosinesArgs& a, const Target& t) { FPD_DISPATCH(nearest_by_cosines, a, t); }
inline void nearest_by_differences(const NearestByDifferencesArgs& a, const Target& t) { FPD_DISPATCH(nearest_by_differences, a, t); }
inline void nearest_in_tile(const NearestInTileArgs& a, const Target& t) { FPD_DISPATCH(nearest_in_tile, a, t); }
inline void subgraph(const SubgraphArgs& a, const Target& t) { FPD_DISPATCH(subgraph, a, t); }
inline void rerank(const RerankArgs& a, const Target& t) { FPD_DISPATCH(rerank, a, t); }
inline void density_radii(const DensityRadiiArgs& a, const Target& t) { FPD_DISPATCH(density_radii, a, t); }
inline void sgd_layout(const SgdLayoutArgs& a, const Target& t) { FPD_DISPATCH(sgd_layout, a, t); }
inline void edge_step(const EdgeStepArgs& a, const Target& t) { FPD_DISPATCH(edge_step, a, t); }
inline void embed_rows(const EmbedRowsArgs& a, const Target& t) { FPD_DISPATCH(embed_rows, a, t); }
inline void hidden_forward(const HiddenForwardArgs& a, const Target& t) { FPD_DISPATCH(hidden_forward, a, t); }
inline void hidden_backward(const HiddenBackwardArgs& a, const Target& t) { FPD_DISPATCH(hidden_backward, a, t); }
// clang-format on

// Neighbour descent, trees and lists beside products are for the CPU, since a GPU searches exactly,
// by products on tensor cores; so are sparse rows, which come from SciPy, layouts by other
// metrics than the euclidean, and those of some rows alone.
inline int cpu_threads(const Target& target) {
  if (target.device == Device::cuda) throw std::runtime_error("the operation has no CUDA code");
  return target.threads;
}
inline void project_rows(const ProjectArgs& a, const Target& t) {
  cpu::project_rows(a, cpu_threads(t));
}
inline void build_forest(const ForestArgs& a, const Target& t) {
  cpu::build_forest(a, cpu_threads(t));
}
inline void join_leaves(const LeafJoinArgs& a, const Target& t) {
  cpu::join_leaves(a, cpu_threads(t));
}
inline void reverse_lists(const ReverseArgs& a, const Target& t) {
  cpu::reverse_lists(a, cpu_threads(t));
}
inline std::int64_t nn_descent(const DescentArgs& a, const Target& t) {
  return cpu::nn_descent(a, cpu_threads(t));
}
inline void pack_rows(const PackRowsArgs& a, const Target& t) { cpu::pack_rows(a, cpu_threads(t)); }
inline void nearest_pairs(const NearestPairsArgs& a, const Target& t) {
  cpu::nearest_pairs(a, cpu_threads(t));
}
inline void nearest_to_queries(const NearestToQueriesArgs& a, const Target& t) {
  cpu::nearest_to_queries(a, cpu_threads(t));
}
inline void read_lists(const ReadListsArgs& a, const Target& t) {
  cpu::read_lists(a, cpu_threads(t));
}
inline void nearest_in_groups(const NearestInGroupsArgs& a, const Target& t) {
  cpu::nearest_in_groups(a, cpu_threads(t));
}
inline void join_lists(const JoinListsArgs& a, const Target& t) {
  cpu::join_lists(a, cpu_threads(t));
}
inline void nearest_in_clusters(const NearestInClustersArgs& a, const Target& t) {
  cpu::nearest_in_clusters(a, cpu_threads(t));
}
inline bool build_kd_tree(const BuildKdTreeArgs& a, const Target& t) {
  return cpu::build_kd_tree(a, cpu_threads(t));
}
inline void kd_nearest(const KdNearestArgs& a, const Target& t) {
  cpu::kd_nearest(a, cpu_threads(t));
}
inline void sparse_nearest(const SparseNearestArgs& a, const Target& t) {
  cpu::sparse_nearest(a, cpu_threads(t));
}
inline void sparse_rerank(const SparseRerankArgs& a, const Target& t) {
  cpu::sparse_rerank(a, cpu_threads(t));
}
inline void nearest_binary(const NearestBinaryArgs& a, const Target& t) {
  cpu::nearest_binary(a, cpu_threads(t));
}
inline void sgd_layout_part(const SgdLayoutArgs& a, int part, const Target& t) {
  cpu::sgd_layout_part(a, part, cpu_threads(t));
}
inline void metric_layout(const MetricLayoutArgs& a, const Target& t) {
  cpu::metric_layout(a, cpu_threads(t));
}

inline std::size_t sgd_layout_scratch(std::int64_t n, std::int64_t edges, int steps_per_epoch,
                                      const Target& t) {
  return FPD_DISPATCH_SIZE(sgd_layout_scratch, t, n, edges, steps_per_epoch);
}
inline std::int64_t most_unit_columns(ProductEngine engine, const Target& t) {
  return FPD_DISPATCH_SIZE(most_unit_columns, t, engine);
}
inline bool hidden_layers_fit(int widest, const Target& t) {
  return FPD_DISPATCH_SIZE(hidden_layers_fit, t, widest);
}
inline std::size_t block_shared_bytes(const Target& t) {
#if FPD_WITH_CUDA
  if (t.device == Device::cuda) return cuda::block_shared_bytes();
#else
  require_cpu(t);
#endif
  return cpu::block_shared_bytes();
}
inline std::size_t symmetrize_scratch(std::int64_t n, std::int64_t nnz, const Target& t) {
  return FPD_DISPATCH_SIZE(symmetrize_scratch, t, n, nnz);
}
inline std::size_t edge_table_scratch(std::int64_t size, const Target& t) {
  return FPD_DISPATCH_SIZE(edge_table_scratch, t, size);
}

}  // namespace fpd
