"""The convolutional candidates by name, in DARTS' order: the order breaks ties in decoding."""

from collections.abc import Sequence

from archgrad.arch import NONE
from archgrad.checks import one_of
from archgrad.ops.convolution import (
    atrous_convolution,
    crossed_convolution,
    dilated_convolution,
    plain_convolution,
    separable_convolution,
)
from archgrad.ops.noise import noise
from archgrad.ops.operation import Normalisation, Operation
from archgrad.ops.pooling import average_pooling, max_pooling
from archgrad.ops.skip import skip_connection

DARTS_CANDIDATES = (
    NONE,
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The eight candidates of arXiv:1806.09055, section 3.1."""

DENSE_CANDIDATES = (*DARTS_CANDIDATES[:-2], "atrous_conv_3x3", "atrous_conv_5x5")
"""The eight candidates of arXiv:1901.02985, section 3.1, for dense prediction."""

NASBENCH201_CANDIDATES = (NONE, "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The five candidates of arXiv:2001.00326, section 2.1, in the order of the authors' code."""

CONV_CANDIDATES = (
    *DARTS_CANDIDATES,
    "sep_conv_7x7",
    "conv_7x1_1x7",
    *DENSE_CANDIDATES[-2:],
    *NASBENCH201_CANDIDATES[2:4],
    "noise",
)
"""All convolutional candidates: the 7×7 and 7×1 ones occur in NASNet-A and AmoebaNet-A, `noise` in Robust DARTS."""


def check_candidates(candidates: Sequence[str]) -> None:
    """Raise a ValueError unless these are different convolutional candidates, with one other than `none` among them."""
    if not candidates or set(candidates) == {NONE}:
        raise ValueError(f"candidates: needs at least one operation other than 'none', got {candidates}.")
    for candidate in candidates:
        one_of("candidates", candidate, CONV_CANDIDATES)
    if len(set(candidates)) < len(candidates):
        raise ValueError(f"candidates: {candidates} lists a candidate twice.")


def convolutional_operation(
    name: str, channels: int, stride: int, *, norm: Normalisation, copies: int = 1, normalise_pooling: bool
) -> Operation:
    """Make the operation of a candidate other than `none` for `copies` edges.

    `normalise_pooling` is true in a supernet, where pooled states would otherwise outweigh the normalised ones.

    >>> from torch import nn
    >>> operation = convolutional_operation("sep_conv_3x3", 4, 1, norm=nn.BatchNorm2d, normalise_pooling=False)
    >>> sum(parameter.numel() for parameter in operation.parameters())
    120

    Raises:
        ValueError: the name is no convolutional candidate, or is `none`, which is never computed.
    """
    pooling_norm = norm if normalise_pooling else None
    match one_of("operation", name, CONV_CANDIDATES[1:]):
        case "max_pool_3x3":
            return max_pooling(channels, stride, norm=pooling_norm)
        case "avg_pool_3x3":
            return average_pooling(channels, stride, norm=pooling_norm)
        case "skip_connect":
            return skip_connection(channels, stride, norm=norm, copies=copies)
        case "noise":
            return noise(stride, copies=copies)
        case "conv_7x1_1x7":
            return crossed_convolution(channels, stride, norm=norm, copies=copies)
        case _:
            kind, size = name.split("_")[0], int(name[-1])
            makers = {
                "sep": separable_convolution,
                "dil": dilated_convolution,
                "atrous": atrous_convolution,
                "nor": plain_convolution,
            }
            return makers[kind](channels, size, stride, norm=norm, copies=copies)
