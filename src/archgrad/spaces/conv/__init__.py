"""Convolutional cells (arXiv:1806.09055): table, supernet and derived network."""

from archgrad.spaces.conv.network import ConvNetwork
from archgrad.spaces.conv.space import ConvCellSpace
from archgrad.spaces.conv.supernet import ConvSupernet

__all__ = ["ConvCellSpace", "ConvNetwork", "ConvSupernet"]
