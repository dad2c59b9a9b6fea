"""Eq. 2: the candidate operations."""

from archgrad.ops.candidates import (
    CONV_CANDIDATES,
    DARTS_CANDIDATES,
    DENSE_CANDIDATES,
    NASBENCH201_CANDIDATES,
    check_candidates,
    convolutional_operation,
)
from archgrad.ops.operation import BatchStatisticsNorm, Normalisation, Operation

__all__ = [
    "CONV_CANDIDATES",
    "DARTS_CANDIDATES",
    "DENSE_CANDIDATES",
    "NASBENCH201_CANDIDATES",
    "BatchStatisticsNorm",
    "Normalisation",
    "Operation",
    "check_candidates",
    "convolutional_operation",
]
