"""Plots of embeddings by umap.plot's arguments: maps of points, of edges, for a notebook, and as a page."""

from fastparadime.plot.losses import history
from fastparadime.plot.maps import connectivity, points
from fastparadime.plot.page import html
from fastparadime.plot.widget import interactive

__all__ = ["connectivity", "history", "html", "interactive", "points"]
