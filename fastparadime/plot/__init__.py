"""Plots of embeddings by umap.plot's arguments: maps of points, of edges, and for a notebook."""

from fastparadime.plot.losses import history
from fastparadime.plot.maps import connectivity, points
from fastparadime.plot.widget import interactive

__all__ = ["connectivity", "history", "interactive", "points"]
