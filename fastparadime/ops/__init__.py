"""The native operations: torch tensors or numpy arrays in, torch tensors out, on their device.

The only package that imports ``_core``. Each operation checks dtype, shape, device and range by
argument name, allocates the outputs, and hands addresses and the current stream to the core.
`fastparadime.ops.reference` defines every operation in plain float64.
"""

from fastparadime.ops._checks import build_info, resolve_device
from fastparadime.ops.graph.graph_matmul import graph_matmul
from fastparadime.ops.graph.perplexity import perplexity
from fastparadime.ops.graph.segments import Segments
from fastparadime.ops.graph.shared_neighbors import shared_neighbors
from fastparadime.ops.graph.smooth_knn import SmoothKnn, smooth_knn
from fastparadime.ops.graph.subgraph import subgraph
from fastparadime.ops.graph.symmetrize import Edges, symmetrize
from fastparadime.ops.layout.density import DensityTerm
from fastparadime.ops.layout.layout_shard import LayoutShard
from fastparadime.ops.layout.metric_layout import LAYOUT_METRICS, LayoutMetric
from fastparadime.ops.layout.sgd_layout import layout_epochs, sgd_layout
from fastparadime.ops.neighbors.join_lists import NearestLists
from fastparadime.ops.neighbors.kd_tree import TREE_METRICS, KdTree, tree_bytes
from fastparadime.ops.neighbors.nearest_binary import BINARY_METRICS, BinaryTable
from fastparadime.ops.neighbors.nearest_by_differences import nearest_by_differences
from fastparadime.ops.neighbors.nearest_by_products import ProductTable, product_bytes
from fastparadime.ops.neighbors.nearest_in_clusters import ClusterSearch
from fastparadime.ops.neighbors.nearest_in_tile import (
    MOST_CANDIDATES,
    MOST_UNIT_COLUMNS,
    Candidates,
    ProductEngine,
    candidate_width,
    most_unit_columns,
)
from fastparadime.ops.neighbors.nn_descent import NeighborDescent, leaf_size, list_width, nn_descent
from fastparadime.ops.neighbors.rerank import METRICS, rerank
from fastparadime.ops.neighbors.sparse_rows import SHARED_METRICS, SPARSE_METRICS, SparseTable
from fastparadime.ops.neighbors.subspace import Subspace
from fastparadime.ops.training.adam import Adam
from fastparadime.ops.training.anchor_loss import anchor_cross_entropy, anchor_gradients
from fastparadime.ops.training.anchor_modes import anchor_modes
from fastparadime.ops.training.edge_loss import negative_edge_cross_entropy, negative_edge_gradients
from fastparadime.ops.training.edge_sampler import EdgeBatch, EdgeSampler, unique_nodes
from fastparadime.ops.training.edge_step import EdgeStep
from fastparadime.ops.training.embed_rows import embed_rows, embed_rows_fit
from fastparadime.ops.training.gather_rows import gather_rows, scatter_add
from fastparadime.ops.training.hidden_layers import hidden_layers
from fastparadime.ops.training.mlp import MLP_ACTIVATIONS, POINTWISE_ACTIVATIONS, Mlp
from fastparadime.utils import forks

forks.register()

__all__ = [
    "BINARY_METRICS",
    "LAYOUT_METRICS",
    "METRICS",
    "MLP_ACTIVATIONS",
    "MOST_CANDIDATES",
    "MOST_UNIT_COLUMNS",
    "POINTWISE_ACTIVATIONS",
    "SHARED_METRICS",
    "SPARSE_METRICS",
    "TREE_METRICS",
    "Adam",
    "BinaryTable",
    "Candidates",
    "ClusterSearch",
    "DensityTerm",
    "EdgeBatch",
    "EdgeSampler",
    "EdgeStep",
    "Edges",
    "KdTree",
    "LayoutMetric",
    "LayoutShard",
    "Mlp",
    "NearestLists",
    "NeighborDescent",
    "ProductEngine",
    "ProductTable",
    "Segments",
    "SmoothKnn",
    "SparseTable",
    "Subspace",
    "anchor_cross_entropy",
    "anchor_gradients",
    "anchor_modes",
    "build_info",
    "candidate_width",
    "embed_rows",
    "embed_rows_fit",
    "gather_rows",
    "graph_matmul",
    "hidden_layers",
    "layout_epochs",
    "leaf_size",
    "list_width",
    "most_unit_columns",
    "nearest_by_differences",
    "negative_edge_cross_entropy",
    "negative_edge_gradients",
    "nn_descent",
    "perplexity",
    "product_bytes",
    "rerank",
    "resolve_device",
    "scatter_add",
    "sgd_layout",
    "shared_neighbors",
    "smooth_knn",
    "subgraph",
    "symmetrize",
    "tree_bytes",
    "unique_nodes",
]
