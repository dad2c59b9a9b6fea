"""Eq. 9: decoding rules, mixture to genotype, one file each. They work on NumPy arrays and need no torch."""

from archgrad.decode.argmax import argmax
from archgrad.decode.beam import beam
from archgrad.decode.sample import categorical, uniform
from archgrad.decode.top_k import top_k
from archgrad.decode.viterbi import Path, viterbi

__all__ = ["Path", "argmax", "beam", "categorical", "top_k", "uniform", "viterbi"]
