"""Eq. 3 and 8: search spaces, each a table and the engine that evaluates it."""

from archgrad.spaces.conv import ConvCellSpace, ConvNetwork, ConvSupernet
from archgrad.spaces.conv.reduced import reduced_space
from archgrad.spaces.nasbench201 import NASBench201Network, NASBench201Space, NASBench201Supernet
from archgrad.spaces.recurrent import LSTMNetwork, RecurrentCellSpace, RecurrentNetwork, RecurrentSupernet
from archgrad.spaces.space import Space
from archgrad.spaces.trellis import TrellisNetwork, TrellisSpace, TrellisSupernet

__all__ = [
    "ConvCellSpace",
    "ConvNetwork",
    "ConvSupernet",
    "LSTMNetwork",
    "NASBench201Network",
    "NASBench201Space",
    "NASBench201Supernet",
    "RecurrentCellSpace",
    "RecurrentNetwork",
    "RecurrentSupernet",
    "Space",
    "TrellisNetwork",
    "TrellisSpace",
    "TrellisSupernet",
    "reduced_space",
]
