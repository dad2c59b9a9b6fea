"""The pooling candidates of arXiv:1806.09055, section 3.1. They have no parameters, so edges share them."""

from torch import nn

from archgrad.ops.operation import Normalisation, Operation


def max_pooling(channels: int, stride: int, *, norm: Normalisation | None) -> Operation:
    """max_pool_3x3: maximum over 3×3, padding 1; normalised in a supernet (`norm` given), bare in a decoded network."""
    return _pooling(nn.MaxPool2d(3, stride=stride, padding=1), channels, norm)


def average_pooling(channels: int, stride: int, *, norm: Normalisation | None) -> Operation:
    """avg_pool_3x3: mean over 3×3 of what lies inside the image (padding is not counted); normalised like max_pool."""
    return _pooling(nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False), channels, norm)


def _pooling(pool: nn.Module, channels: int, norm: Normalisation | None) -> Operation:
    return Operation(pool, nn.Identity() if norm is None else norm(channels), rectified=False, shared=True)
