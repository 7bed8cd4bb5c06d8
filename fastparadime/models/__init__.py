"""Models that routines train, and applying them in chunks."""

from fastparadime.models.anchors import AnchorEmbeddingModel as AnchorEmbeddingModel
from fastparadime.models.anchors import place_anchors as place_anchors
from fastparadime.models.chunks import embed_in_chunks as embed_in_chunks
from fastparadime.models.chunks import values_a_row as values_a_row
from fastparadime.models.inspection import as_input as as_input
from fastparadime.models.inspection import check_width as check_width
from fastparadime.models.inspection import device_of as device_of
from fastparadime.models.inspection import dtype_of as dtype_of
from fastparadime.models.inspection import evaluating as evaluating
from fastparadime.models.inspection import has_hooks as has_hooks
from fastparadime.models.inspection import input_width as input_width
from fastparadime.models.inspection import is_plain_linear as is_plain_linear
from fastparadime.models.inspection import looks_up as looks_up
from fastparadime.models.inspection import method_of as method_of
from fastparadime.models.inspection import network_in as network_in
from fastparadime.models.inspection import normalizes_batches as normalizes_batches
from fastparadime.models.inspection import runs_hooks as runs_hooks
from fastparadime.models.networks import ACTIVATIONS as ACTIVATIONS
from fastparadime.models.networks import (
    FullyConnectedEmbeddingModel as FullyConnectedEmbeddingModel,
)
from fastparadime.models.networks import Model as Model
from fastparadime.models.networks import ScaledEmbeddingModel as ScaledEmbeddingModel
from fastparadime.models.networks import check_widths as check_widths
from fastparadime.models.networks import core_network as core_network
from fastparadime.models.networks import register as register
from fastparadime.models.networks import registered as registered
from fastparadime.models.prototypes import PrototypeEmbeddingModel as PrototypeEmbeddingModel
from fastparadime.models.prototypes import place_prototypes as place_prototypes

__all__ = [
    "AnchorEmbeddingModel",
    "FullyConnectedEmbeddingModel",
    "Model",
    "PrototypeEmbeddingModel",
    "ScaledEmbeddingModel",
    "place_anchors",
    "place_prototypes",
    "register",
    "registered",
]
