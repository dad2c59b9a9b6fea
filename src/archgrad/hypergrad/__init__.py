"""Eq. 5 to 7: hypergradients of the bilevel problem, one estimator a file."""

from archgrad.hypergrad.finite_difference import FiniteDifference
from archgrad.hypergrad.first_order import FirstOrder
from archgrad.hypergrad.problem import Hypergradient, InnerStep, Losses, Weights
from archgrad.hypergrad.unrolled import Unrolled

__all__ = ["FiniteDifference", "FirstOrder", "Hypergradient", "InnerStep", "Losses", "Unrolled", "Weights"]
