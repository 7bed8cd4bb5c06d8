"""Routines from specifications: YAML, JSON or plain dicts that name the parts of a routine."""

from fastparadime.dr.spec.describing import describe
from fastparadime.dr.spec.names import (
    register_data_func,
    register_loss,
    register_loss_func,
    register_relations,
    register_transform,
)
from fastparadime.dr.spec.reading import read_parts, validate_spec

__all__ = [
    "describe",
    "read_parts",
    "register_data_func",
    "register_loss",
    "register_loss_func",
    "register_relations",
    "register_transform",
    "validate_spec",
]
