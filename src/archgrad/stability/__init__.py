"""What keeps a search from collapsing: perturbed logits, aligned cells, frozen operations, rules that stop in time."""

from archgrad.stability.alignment import Alignment
from archgrad.stability.freezing import Freezing, held
from archgrad.stability.perturbation import AdversarialPerturbation, Perturbation, RandomPerturbation
from archgrad.stability.stopping import EigenvalueGrowth, SkipCount, StableRanking, Stopping

__all__ = [
    "AdversarialPerturbation",
    "Alignment",
    "EigenvalueGrowth",
    "Freezing",
    "Perturbation",
    "RandomPerturbation",
    "SkipCount",
    "StableRanking",
    "Stopping",
    "held",
]
