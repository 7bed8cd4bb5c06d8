"""Helpers around the routines: conversion, checks, logging, seeds and plots."""

from __future__ import annotations

from fastparadime.utils import convert, logging, plotting, seed, triangular, validate
from fastparadime.utils.display import ReprMixin

__all__ = ["ReprMixin", "convert", "logging", "plotting", "seed", "triangular", "validate"]
