"""Methods that differ in the relaxation: samples in place of mixtures, and independent operations."""

from archgrad.methods.method import Method
from archgrad.mixing import Mixing
from archgrad.relax import (
    Annealed,
    Dirichlet,
    DirichletDistance,
    Gumbel,
    Relaxation,
    Sigmoid,
    UniformPath,
    ZeroOneLoss,
)
from archgrad.selection import OneShot
from archgrad.stages import Stage


def fair_darts(*, weight: float = 10.0) -> Method:
    """FairDARTS: independent sigmoids and a zero-one loss of this weight, first order (arXiv:1911.12126).

    Raises:
        ValueError: the weight is negative.
    """
    return Method(
        name="fair-darts", citation="1911.12126", relaxation=Sigmoid(), penalties=(ZeroOneLoss(weight=weight),)
    )


def snas(*, temperature: float = 1.0, final_temperature: float | None = None, hard: bool = False) -> Method:
    """SNAS: mixtures are samples from the Gumbel softmax, first order (arXiv:1812.09926).

    The temperature falls linearly to `final_temperature` over the epochs, where one is given. `hard` takes one-hot
    samples, differentiated as if they were soft.

    Raises:
        ValueError: a temperature is not above 0.
    """
    relaxation: Relaxation = Gumbel(temperature, hard)
    if final_temperature is not None:
        relaxation = Annealed(relaxation, final_temperature)
    return Method(name="snas", citation="1812.09926", relaxation=relaxation)


def gdas(*, temperature: float = 10.0, final_temperature: float = 0.1) -> Method:
    """GDAS: one operation per edge is drawn by the Gumbel softmax, and it alone is evaluated (arXiv:1910.04465).

    Raises:
        ValueError: a temperature is not above 0.
    """
    return Method(
        name="gdas",
        citation="1910.04465",
        relaxation=Annealed(Gumbel(temperature, hard=True), final_temperature),
        mixing=Mixing(one_path=True),
    )


def drnas(*, weight: float = 1e-3, progressive: bool = False, partial_channels: int = 4, keep: int = 4) -> Method:
    """DrNAS: mixtures are drawn from a Dirichlet distribution, held near the uniform one (arXiv:2006.10355).

    `weight` is that of the distance. With `progressive` the first half of the epochs runs on 1 / `partial_channels` of
    the channels, the second on twice as many, with the `keep` strongest operations of every edge. Differs: the paper
    uses 1/6 and 1/3 of 36 channels on DARTS' space, which do not divide 16.

    Raises:
        ValueError: the weight is negative, `keep` below 1, or `partial_channels` odd, so that it cannot be halved.
    """
    if partial_channels % 2 and progressive:
        raise ValueError(
            f"partial_channels: must be even, since the second stage halves it, got {partial_channels}; the nearest "
            f"is {partial_channels + 1}."
        )
    stages = (
        Stage(share=0.5, partial_channels=partial_channels),
        Stage(share=0.5, partial_channels=partial_channels // 2, keep=keep),
    )
    return Method(
        name="drnas-progressive" if progressive else "drnas",
        citation="2006.10355",
        relaxation=Dirichlet(),
        penalties=(DirichletDistance(weight=weight),),
        stages=stages if progressive else (),
    )


def random_weight_sharing(*, count: int = 100) -> Method:
    """Random search with weight sharing: uniform paths train the weights, the best of many is kept (arXiv:1902.07638).

    The logits never move. Of `count` architectures drawn uniformly the one of highest validation accuracy under the
    shared weights is the result.

    Raises:
        ValueError: `count` is below 1.
    """
    return Method(
        name="random-weight-sharing",
        citation="1902.07638",
        relaxation=UniformPath(),
        hypergradient=None,
        mixing=Mixing(one_path=True),
        selection=OneShot(count=count, draw="uniform"),
    )
