"""Every native operation in plain float64 numpy: the definition, and the oracle of the tests.

Slow by design. Nothing in the package imports it.
"""

from fastparadime.reference.graph import (
    draw_edges,
    gather_rows,
    graph_matmul,
    nearest_by_products,
    nearest_by_tree,
    nearest_in_clusters,
    nearest_in_tile,
    negative_edge_cross_entropy,
    neighbors_of_neighbors,
    nn_descent,
    perplexity,
    rerank,
    segment_gram,
    segment_matmul,
    smooth_knn,
    subgraph,
    symmetrize,
)
from fastparadime.reference.layout import density_pulls, density_radii, sgd_layout
from fastparadime.reference.metrics import binary_distance, distance, nearest_binary
from fastparadime.reference.networks import activate, adam, hidden_layers, mlp, to_tf32
from fastparadime.reference.philox import philox

__all__ = [
    "activate",
    "adam",
    "binary_distance",
    "density_pulls",
    "density_radii",
    "distance",
    "draw_edges",
    "gather_rows",
    "graph_matmul",
    "hidden_layers",
    "mlp",
    "nearest_binary",
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
    "smooth_knn",
    "subgraph",
    "symmetrize",
    "to_tf32",
]
