"""Selection: a genotype found with the supernet's weights, in place of a rule that reads the mixture alone (Eq. 9).

    PerturbationSelection   the operations and edges whose removal hurts the supernet most (DARTS-PT)
    OneShot                 of many genotypes, the best one by the shared weights (random search with weight sharing)
    SampledSelection        the most probable of some genotypes drawn from the mixture (SNAS)

A selection is a function of a `Probe`; anything that maps a `Probe` to a `Genotype` will do.
"""

from archgrad.selection.drawing import draw
from archgrad.selection.one_shot import OneShot
from archgrad.selection.perturbation import PerturbationSelection
from archgrad.selection.probe import Probe, Selection
from archgrad.selection.sampled import SampledSelection

__all__ = ["OneShot", "PerturbationSelection", "Probe", "SampledSelection", "Selection", "draw"]
