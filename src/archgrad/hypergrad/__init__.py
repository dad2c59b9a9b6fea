"""Eq. 5 to 7: hypergradients of the bilevel problem, one estimator a file, and the curvature of a loss by α."""

from archgrad.hypergrad.curvature import dense_hessian, dominant_eigenvalue, hessian_product
from archgrad.hypergrad.finite_difference import FiniteDifference
from archgrad.hypergrad.first_order import FirstOrder
from archgrad.hypergrad.implicit import ConjugateGradient, Implicit, Neumann, Solver
from archgrad.hypergrad.problem import Hypergradient, InnerStep, Losses, Weights
from archgrad.hypergrad.unrolled import Unrolled

__all__ = [
    "ConjugateGradient",
    "FiniteDifference",
    "FirstOrder",
    "Hypergradient",
    "Implicit",
    "InnerStep",
    "Losses",
    "Neumann",
    "Solver",
    "Unrolled",
    "Weights",
    "dense_hessian",
    "dominant_eigenvalue",
    "hessian_product",
]
