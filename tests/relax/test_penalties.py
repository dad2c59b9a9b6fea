"""Penalties against their sums written out, and what their gradients push to."""

import pytest
import torch

from archgrad.arch import LogitGroup
from archgrad.relax import Parsimony, Relaxed, Sigmoid, Softmax, ZeroOneLoss

GROUPS = (
    LogitGroup.dense("a", inputs=1, nodes=2, candidates=("none", "x", "y"), choices={(0, 1): ("none", "y")}),
    LogitGroup.dense("b", inputs=1, nodes=1, candidates=("x", "y")),
)


def logits_of(*ensemble):
    generator = torch.Generator().manual_seed(0)
    return {group.name: torch.randn(*ensemble, *group.shape, generator=generator) for group in GROUPS}


def relaxed(relaxation, logits):
    return {group.name: relaxation(logits[group.name], group.mask_tensor()) for group in GROUPS}


def entries(mixture):
    """(candidate, weight) of everything that an edge has."""
    for group in GROUPS:
        for row, names in enumerate(group.choices):
            for column, name in enumerate(group.candidates):
                if name in names:
                    yield name, mixture[group.name][row, column]


def test_zero_one_loss_is_a_mean_over_all_candidates():
    mixture = relaxed(Sigmoid(), logits_of())
    squares = [(weight - 0.5) ** 2 for _, weight in entries(mixture)]
    assert len(squares) == 10
    torch.testing.assert_close(ZeroOneLoss(weight=3.0)(Relaxed({}, mixture, GROUPS)), -3 * sum(squares) / 10)


def test_zero_one_loss_pushes_sigmoids_apart():
    logits = {name: tensor.requires_grad_() for name, tensor in logits_of().items()}
    ZeroOneLoss()(Relaxed({}, relaxed(Sigmoid(), logits), GROUPS)).backward()
    for group in GROUPS:
        mask, gradient = group.mask_tensor(), logits[group.name].grad
        assert torch.equal(gradient[mask].sign(), -logits[group.name].detach()[mask].sign())
        assert (gradient[~mask] == 0).all()


def test_parsimony_is_what_the_mixture_costs():
    mixture = relaxed(Softmax(), logits_of())
    prices = {"none": 0.0, "x": 0.5 + 0.1 * 2.0, "y": 0.5}
    expected = sum(prices[name] * weight for name, weight in entries(mixture))
    penalty = Parsimony(weight=0.1, base=0.5, costs={"x": 2.0, "none": 9.0})
    torch.testing.assert_close(penalty(Relaxed({}, mixture, GROUPS)), expected)
    assert Parsimony(weight=0.0)(Relaxed({}, mixture, GROUPS)) == 0


@pytest.mark.parametrize("penalty", [ZeroOneLoss(weight=2.0), Parsimony(weight=0.3, base=0.2, costs={"y": 1.0})])
def test_members_of_an_ensemble_add_up(penalty):
    mixture = relaxed(Sigmoid(), logits_of(3))
    alone = [
        penalty(Relaxed({}, {name: tensor[member] for name, tensor in mixture.items()}, GROUPS)) for member in range(3)
    ]
    torch.testing.assert_close(penalty(Relaxed({}, mixture, GROUPS)), sum(alone))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ZeroOneLoss(weight=-1.0), r"weight: must be at least 0, got -1.0"),
        (lambda: Parsimony(weight=-1.0), r"weight: must be at least 0, got -1.0"),
        (lambda: Parsimony(weight=0.0, base=-2.0), r"base: must be at least 0, got -2.0"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
