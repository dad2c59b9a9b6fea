"""Eq. 9: decoding rules, mixture to genotype, one file each. They work on NumPy arrays and need no torch."""

from archgrad.decode.sample import uniform
from archgrad.decode.top_k import top_k

__all__ = ["top_k", "uniform"]
