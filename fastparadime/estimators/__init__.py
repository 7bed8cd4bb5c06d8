"""scikit-learn's face of the methods: estimators with fit, transform and learned attributes."""

from fastparadime.estimators._confidence import Confidence
from fastparadime.estimators.aligned_umap import AlignedUMAP
from fastparadime.estimators.knn_transformer import KNNTransformer
from fastparadime.estimators.parametric_umap import ParametricUMAP
from fastparadime.estimators.umap import UMAP

__all__ = ["UMAP", "AlignedUMAP", "Confidence", "KNNTransformer", "ParametricUMAP"]
