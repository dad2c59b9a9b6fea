"""Cell and path together (arXiv:1901.02985): table, supernet and derived network of dense prediction."""

from archgrad.spaces.trellis.network import TrellisNetwork
from archgrad.spaces.trellis.plan import PATHS, Trellis
from archgrad.spaces.trellis.space import TrellisSpace
from archgrad.spaces.trellis.supernet import TrellisSupernet

__all__ = ["PATHS", "Trellis", "TrellisNetwork", "TrellisSpace", "TrellisSupernet"]
