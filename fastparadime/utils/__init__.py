"""Helpers around the routines: conversion, checks, logging, seeds and plots."""

from __future__ import annotations

from fastparadime.utils import (
    checkpoints,
    convert,
    logging,
    plotting,
    seed,
    shards,
    triangular,
    validate,
)
from fastparadime.utils.display import ReprMixin

__all__ = [
    "ReprMixin",
    "checkpoints",
    "convert",
    "logging",
    "plotting",
    "seed",
    "shards",
    "triangular",
    "validate",
]
