"""Every native operation in plain float64 numpy: the definition, and the oracle of the tests.

Slow by design. Nothing in the package imports it.
"""

from fastparadime.ops.reference.graph import (
    graph_matmul,
    perplexity,
    segment_gram,
    segment_matmul,
    shared_neighbors,
    smooth_knn,
    subgraph,
    symmetrize,
)
from fastparadime.ops.reference.layout import Windows, density_pulls, density_radii, sgd_layout
from fastparadime.ops.reference.metrics import binary_distance, distance
from fastparadime.ops.reference.neighbors import (
    join_lists,
    nearest_binary,
    nearest_by_differences,
    nearest_by_products,
    nearest_by_tree,
    nearest_in_clusters,
    nearest_in_tile,
    neighbors_of_neighbors,
    nn_descent,
    rerank,
)
from fastparadime.ops.reference.philox import philox
from fastparadime.ops.reference.training import (
    activate,
    adam,
    anchor_cross_entropy,
    anchor_modes,
    draw_edges,
    gather_rows,
    hidden_layers,
    mlp,
    mlp_jacobian,
    negative_edge_cross_entropy,
    to_tf32,
)

__all__ = [
    "Windows",
    "activate",
    "adam",
    "anchor_cross_entropy",
    "anchor_modes",
    "binary_distance",
    "density_pulls",
    "density_radii",
    "distance",
    "draw_edges",
    "gather_rows",
    "graph_matmul",
    "hidden_layers",
    "join_lists",
    "mlp",
    "mlp_jacobian",
    "nearest_binary",
    "nearest_by_differences",
    "nearest_by_products",
    "nearest_by_tree",
    "nearest_in_clusters",
    "nearest_in_tile",
    "negative_edge_cross_entropy",
    "neighbors_of_neighbors",
    "nn_descent",
    "perplexity",
    "philox",
    "rerank",
    "segment_gram",
    "segment_matmul",
    "sgd_layout",
    "shared_neighbors",
    "smooth_knn",
    "subgraph",
    "symmetrize",
    "to_tf32",
]
