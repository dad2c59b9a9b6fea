"""DARTS and its relatives that differ in the hypergradient alone."""

from archgrad.checks import one_of
from archgrad.hypergrad import ConjugateGradient, FiniteDifference, FirstOrder, Implicit, Neumann, Unrolled
from archgrad.methods.method import Method
from archgrad.relax import Softmax


def darts(*, order: int = 2, product: str = "exact", temperature: float = 1.0) -> Method:
    """DARTS: softmax mixture, unrolled inner step, top-k decoding (arXiv:1806.09055).

    `order` 1 takes w for w*(α); 2 unrolls one step, with `product` "exact" (automatic differentiation) or
    "finite_difference" (the paper's estimate) for ∇²_{α,w} L_train · v. `temperature` is that of the softmax.

    >>> darts(order=1).name
    'darts-first-order'

    Raises:
        ValueError: the order is neither 1 nor 2, the product is unknown, or the temperature is not above 0.
    """
    if order not in (1, 2):
        raise ValueError(f"order: must be 1 or 2, got {order}.")
    one_of("product", product, ("exact", "finite_difference"))
    if order == 1:
        name, hypergradient = "darts-first-order", FirstOrder()
    elif product == "exact":
        name, hypergradient = "darts-second-order", Unrolled()
    else:
        name, hypergradient = "darts-second-order-finite-difference", FiniteDifference()
    return Method(name=name, citation="1806.09055", relaxation=Softmax(temperature), hypergradient=hypergradient)


def implicit_darts(*, iterations: int = 10, damping: float = 0.01) -> Method:
    """DARTS with the implicit function theorem's hypergradient, by conjugate gradients (arXiv:1602.02355).

    Raises:
        ValueError: `iterations` is below 1, or the damping is negative.
    """
    solver = ConjugateGradient(iterations=iterations, damping=damping)
    return Method(name="implicit-darts", citation="1602.02355", hypergradient=Implicit(solver))


def i_darts(*, terms: int = 3, step: float | None = None) -> Method:
    """iDARTS: the implicit hypergradient by a Neumann series of so many terms (arXiv:2106.10784).

    `step` is the learning rate of the weights unless given.

    Raises:
        ValueError: `terms` is below 1, or the step is not above 0.
    """
    return Method(name="i-darts", citation="2106.10784", hypergradient=Implicit(Neumann(terms=terms, step=step)))
