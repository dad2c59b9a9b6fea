"""Recurrent cells of language models (arXiv:1806.09055): table, supernet, derived network, and an LSTM beside them."""

from archgrad.spaces.recurrent.lstm import LSTMNetwork
from archgrad.spaces.recurrent.network import RecurrentNetwork
from archgrad.spaces.recurrent.space import RecurrentCellSpace
from archgrad.spaces.recurrent.supernet import RecurrentSupernet

__all__ = ["LSTMNetwork", "RecurrentCellSpace", "RecurrentNetwork", "RecurrentSupernet"]
