"""Methods against the collapse to skip connections: regularised, stopped in time, or decoded otherwise."""

from archgrad.checks import one_of
from archgrad.methods.method import Method
from archgrad.mixing import Mixing
from archgrad.relax import BetaDecay
from archgrad.selection import PerturbationSelection
from archgrad.stability import (
    AdversarialPerturbation,
    Alignment,
    EigenvalueGrowth,
    Freezing,
    RandomPerturbation,
    SkipCount,
)


def smooth_darts(*, kind: str = "random", final: float = 0.3) -> Method:
    """SmoothDARTS: the weights learn at perturbed logits, first order (arXiv:2002.05283).

    `kind` is "random" (uniform noise) or "adversarial" (the worst within the box); its radius grows to `final`.

    Raises:
        ValueError: the kind is unknown, or `final` is below the initial radius 0.03.
    """
    kinds = {"random": RandomPerturbation, "adversarial": AdversarialPerturbation}
    perturbation = kinds[one_of("kind", kind, kinds)](final=final)
    return Method(name=f"smooth-darts-{kind}", citation="2002.05283", perturbation=perturbation)


def darts_minus(*, weight: float = 1.0) -> Method:
    """DARTS−: an auxiliary skip connection of this weight, which decays to zero, on every edge (arXiv:2009.01027).

    Raises:
        ValueError: the weight is negative.
    """
    return Method(name="darts-minus", citation="2009.01027", mixing=Mixing(auxiliary_skip=weight))


def beta_darts(*, weight: float = 50.0) -> Method:
    """β-DARTS: the log-sum-exp of the logits, its weight growing to this one, is a penalty (arXiv:2203.01665).

    Raises:
        ValueError: the weight is negative.
    """
    return Method(name="beta-darts", citation="2203.01665", penalties=(BetaDecay(weight=weight),))


def lambda_darts(*, weight: float = 0.125) -> Method:
    """Λ-DARTS: the weights are regularised so that all cells agree on the logits' gradient (arXiv:2210.07998).

    Raises:
        ValueError: the weight is negative.
    """
    return Method(name="lambda-darts", citation="2210.07998", alignment=Alignment(weight=weight))


def oles(*, threshold: float = 0.4, window: int = 20) -> Method:
    """OLES: an operation is frozen once its gradients on training and validation data part (NeurIPS 2023).

    Raises:
        ValueError: the threshold is outside [-1, 1], or the window below 1.
    """
    freezing = Freezing(threshold=threshold, window=window)
    return Method(name="oles", citation=freezing.citation, freezing=freezing)


def robust_darts(*, window: int = 5, lag: int = 5, ratio: float = 0.75) -> Method:
    """Robust DARTS, early stopping: the architecture from before the dominant eigenvalue grew (arXiv:1909.09656).

    Raises:
        ValueError: a value outside what is allowed, see `EigenvalueGrowth`.
    """
    rule = EigenvalueGrowth(window=window, lag=lag, ratio=ratio)
    return Method(name="robust-darts", citation="1909.09656", stopping=(rule,))


def darts_plus(*, limit: int = 2) -> Method:
    """DARTS+: the search ends when the normal cell has `limit` skip connections (arXiv:1909.06035).

    Raises:
        ValueError: the limit is below 1.
    """
    return Method(name="darts-plus", citation="1909.06035", stopping=(SkipCount(limit=limit),))


def darts_pt(*, tune_epochs: float = 5.0, criterion: str = "accuracy") -> Method:
    """DARTS-PT: an edge keeps the operation that the supernet misses most, and is then tuned (arXiv:2108.04392).

    `criterion` is "accuracy" or "loss", which ties less often on few validation images.

    Raises:
        ValueError: `tune_epochs` is negative, or the criterion unknown.
    """
    selection = PerturbationSelection(tune_epochs=tune_epochs, criterion=criterion)
    return Method(name="darts-pt", citation="2108.04392", selection=selection)
