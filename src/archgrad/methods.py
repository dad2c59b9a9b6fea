"""The table of methods: each named method is a combination of a relaxation, a hypergradient and a decoding rule."""

from dataclasses import dataclass, field

from archgrad.checks import one_of
from archgrad.decode import top_k
from archgrad.hypergrad import FiniteDifference, FirstOrder, Hypergradient, Unrolled
from archgrad.relax import Gumbel, Penalty, Relaxation, Sigmoid, Softmax, ZeroOneLoss
from archgrad.spaces.space import Decoder

DARTS_CITATION = "Liu, Simonyan, Yang: DARTS: Differentiable Architecture Search. ICLR 2019. arXiv:1806.09055"


@dataclass(frozen=True, kw_only=True)
class Method:
    """A row of the table.

    `relaxation` turns logits into a mixture (Eq. 1), `hypergradient` estimates ∇_α of the bilevel objective (Eq. 5 to
    7), `decoder` turns a mixture into edges (Eq. 9). `penalties` are added to the validation loss of the architecture
    step. `citation` is what to cite when the method is used.
    """

    name: str
    citation: str
    relaxation: Relaxation = field(default_factory=Softmax)
    hypergradient: Hypergradient = field(default_factory=FirstOrder)
    decoder: Decoder = top_k
    penalties: tuple[Penalty, ...] = ()


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
    return Method(
        name=name, citation=DARTS_CITATION, relaxation=Softmax(temperature), hypergradient=hypergradient, decoder=top_k
    )


def fair_darts(*, weight: float = 10.0) -> Method:
    """FairDARTS: independent sigmoids and a zero-one loss of this weight, first order (arXiv:1911.12126).

    Raises:
        ValueError: the weight is negative.
    """
    return Method(
        name="fair-darts",
        citation="Chu, Zhou, Zhang, Li: Fair DARTS. ECCV 2020. arXiv:1911.12126",
        relaxation=Sigmoid(),
        penalties=(ZeroOneLoss(weight=weight),),
    )


def snas(*, temperature: float = 1.0, hard: bool = False) -> Method:
    """SNAS: mixtures are samples from the Gumbel softmax at a constant temperature, first order (arXiv:1812.09926).

    Raises:
        ValueError: the temperature is not above 0.
    """
    return Method(
        name="snas",
        citation="Xie, Zheng, Liu, Lin: SNAS: Stochastic Neural Architecture Search. ICLR 2019. arXiv:1812.09926",
        relaxation=Gumbel(temperature, hard),
    )


METHODS = {
    method.name: method
    for method in (darts(order=1), darts(order=2), darts(order=2, product="finite_difference"), fair_darts(), snas())
}
"""The table, by name."""


def by_name(name: str) -> Method:
    """Look a method up in the table, as the command line does.

    Raises:
        ValueError: the name is unknown; the message names the nearest ones.
    """
    return METHODS[one_of("method", name, METHODS)]
