"""Rows placed by a fitted model where they are: Dask's, Ray's and Spark's. No engine is imported by it."""

from fastparadime.engines import dask, ray, spark

__all__ = ["dask", "ray", "spark"]
