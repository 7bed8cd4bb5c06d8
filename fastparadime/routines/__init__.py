"""Predefined routines: known techniques composed of the parts."""

from fastparadime.routines.parametric_tsne import ParametricTSNE
from fastparadime.routines.parametric_umap import ParametricUMAP

__all__ = ["ParametricTSNE", "ParametricUMAP"]
