"""The native operations: torch tensors or numpy arrays in, torch tensors out, on their device.

The only package that imports ``_core``. Each operation checks dtype, shape, device and range by
argument name, allocates the outputs, and hands addresses and the current stream to the core.
`fastparadime.reference` defines every operation in plain float64.
"""

from fastparadime.ops._checks import build_info, resolve_device
from fastparadime.ops._subspace import Subspace
from fastparadime.ops.adam import Adam
from fastparadime.ops.algebra import Segments, graph_matmul
from fastparadime.ops.binary import BINARY_METRICS, BinaryTable
from fastparadime.ops.clusters import ClusterSearch
from fastparadime.ops.density import DensityTerm
from fastparadime.ops.descent import NeighborDescent, leaf_size, list_width, nn_descent
from fastparadime.ops.edge_loss import negative_edge_cross_entropy, negative_edge_gradients
from fastparadime.ops.edges import EdgeBatch, EdgeSampler, gather_rows, scatter_add, unique_nodes
from fastparadime.ops.graph import METRICS, Edges, rerank, subgraph, symmetrize
from fastparadime.ops.hidden_layers import hidden_layers
from fastparadime.ops.layout import sgd_layout
from fastparadime.ops.mlp import MLP_ACTIVATIONS, Mlp
from fastparadime.ops.products import ProductTable, product_bytes
from fastparadime.ops.sparse import SHARED_METRICS, SPARSE_METRICS, SparseTable
from fastparadime.ops.strengths import SmoothKnn, perplexity, smooth_knn
from fastparadime.ops.tiles import (
    MOST_CANDIDATES,
    MOST_UNIT_COLUMNS,
    Candidates,
    candidate_width,
)
from fastparadime.ops.trees import TREE_METRICS, KdTree, tree_bytes

__all__ = [
    "BINARY_METRICS",
    "METRICS",
    "MLP_ACTIVATIONS",
    "MOST_CANDIDATES",
    "MOST_UNIT_COLUMNS",
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
    "Edges",
    "KdTree",
    "Mlp",
    "NeighborDescent",
    "ProductTable",
    "Segments",
    "SmoothKnn",
    "SparseTable",
    "Subspace",
    "build_info",
    "candidate_width",
    "gather_rows",
    "graph_matmul",
    "hidden_layers",
    "leaf_size",
    "list_width",
    "negative_edge_cross_entropy",
    "negative_edge_gradients",
    "nn_descent",
    "perplexity",
    "product_bytes",
    "rerank",
    "resolve_device",
    "scatter_add",
    "sgd_layout",
    "smooth_knn",
    "subgraph",
    "symmetrize",
    "tree_bytes",
    "unique_nodes",
]
