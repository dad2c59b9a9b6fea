"""Eq. 2: the candidate operations."""

from archgrad.ops.candidates import (
    CONV_CANDIDATES,
    DARTS_CANDIDATES,
    DENSE_CANDIDATES,
    check_candidates,
    convolutional_operation,
)
from archgrad.ops.operation import BatchStatisticsNorm, Normalisation, Operation

__all__ = [
    "CONV_CANDIDATES",
    "DARTS_CANDIDATES",
    "DENSE_CANDIDATES",
    "BatchStatisticsNorm",
    "Normalisation",
    "Operation",
    "check_candidates",
    "convolutional_operation",
]
