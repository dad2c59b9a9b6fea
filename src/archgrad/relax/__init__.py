"""Eq. 1: relaxations, logits to mixture weights, one file each, and penalties on logits and mixtures.

A relaxation is a callable (logits [*ensemble, edges, candidates], mask [edges, candidates]) -> mixture of the logits'
shape; the dimensions of an ensemble are searches side by side. A relaxation that draws noise is `Sampled`, one that
changes during the search is `Scheduled`; the driver asks `during(progress)` first, and `at(seed)` of what that gives.
"""

from archgrad.relax.annealed import Annealed
from archgrad.relax.decay import BetaDecay
from archgrad.relax.dirichlet import Dirichlet, DirichletDistance
from archgrad.relax.gumbel import Gumbel
from archgrad.relax.penalties import Parsimony, Penalty, Relaxed, ZeroOneLoss
from archgrad.relax.relaxation import Relaxation, Sampled, Scheduled, is_one_hot
from archgrad.relax.sigmoid import Sigmoid
from archgrad.relax.softmax import Softmax
from archgrad.relax.uniform_path import UniformPath

__all__ = [
    "Annealed",
    "BetaDecay",
    "Dirichlet",
    "DirichletDistance",
    "Gumbel",
    "Parsimony",
    "Penalty",
    "Relaxation",
    "Relaxed",
    "Sampled",
    "Scheduled",
    "Sigmoid",
    "Softmax",
    "UniformPath",
    "ZeroOneLoss",
    "is_one_hot",
]
