"""Routines: `ParametricDR` holds the parts and calls the stages in order."""

from fastparadime.dr.attribution import RegionAttribution
from fastparadime.dr.dataset import Dataset, DerivedData, NegSampledEdgeDataset
from fastparadime.dr.encoder_decoder import EncoderDecoderModel
from fastparadime.dr.encoder_decoder import apply_in_chunks as apply_in_chunks
from fastparadime.dr.routine import LossOrLossDict, ParametricDR, RelOrRelDict
from fastparadime.dr.spec import (
    register_data_func,
    register_loss,
    register_loss_func,
    register_relations,
    register_transform,
    validate_spec,
)
from fastparadime.training import TrainingPhase
from fastparadime.types import Data

__all__ = [
    "Data",
    "Dataset",
    "DerivedData",
    "EncoderDecoderModel",
    "LossOrLossDict",
    "NegSampledEdgeDataset",
    "ParametricDR",
    "RegionAttribution",
    "RelOrRelDict",
    "TrainingPhase",
    "register_data_func",
    "register_loss",
    "register_loss_func",
    "register_relations",
    "register_transform",
    "validate_spec",
]
