"""β-decay against its sum written out, and what its gradient does to the weights."""

import math

import pytest
import torch

from archgrad.arch import LogitGroup
from archgrad.relax import BetaDecay, Relaxed, Softmax

CELL = LogitGroup.dense("a", inputs=1, nodes=2, candidates=("none", "x", "y"), choices={(0, 1): ("none", "y")})
GROUPS = (CELL, LogitGroup.dense("b", inputs=1, nodes=1, candidates=("x", "y")), CELL.node_weights())


def relaxed(*ensemble, progress=1.0):
    generator = torch.Generator().manual_seed(0)
    logits = {group.name: torch.randn(*ensemble, *group.shape, generator=generator) for group in GROUPS}
    return Relaxed(logits, {}, GROUPS, progress)


def test_the_sum_written_out():
    """Over the candidates that an edge has; weights of edges (role "edges") are left alone."""
    given = relaxed()
    expected = 0.0
    for group in GROUPS[:2]:
        rows = given.logits[group.name]
        ends = [
            math.log(sum(math.exp(rows[e, group.candidates.index(name)]) for name in names))
            for e, names in enumerate(group.choices)
        ]
        expected += sum(ends) / len(ends)
    assert float(BetaDecay(weight=3.0)(given)) == pytest.approx(3 * expected, rel=1e-6)


@pytest.mark.parametrize(("initial", "final"), [(0.0, 50.0), (2.0, 1.0)])
def test_the_weight_grows_linearly(initial, final):
    penalty, unit = BetaDecay(weight=final, initial=initial), float(BetaDecay(weight=1.0)(relaxed()))
    for progress in (0.0, 0.25, 1.0):
        expected = (initial + progress * (final - initial)) * unit
        assert float(penalty(relaxed(progress=progress))) == pytest.approx(expected, rel=1e-6)


def test_the_gradient_of_an_edge_is_its_softmax():
    """∂ log-sum-exp / ∂α = softmax(α), divided by the number of edges; none where masked."""
    given = relaxed()
    for logits in given.logits.values():
        logits.requires_grad_()
    BetaDecay(weight=1.0)(given).backward()
    for group in GROUPS[:2]:
        logits = given.logits[group.name]
        expected = Softmax()(logits.detach(), group.mask_tensor()) / len(group.edges)
        torch.testing.assert_close(logits.grad, expected)
    assert given.logits["a_edges"].grad is None


def test_members_of_an_ensemble_add_up():
    given = relaxed(3)
    alone = [
        BetaDecay()(given._replace(logits={name: logits[member] for name, logits in given.logits.items()}))
        for member in range(3)
    ]
    torch.testing.assert_close(BetaDecay()(given), sum(alone))


@pytest.mark.parametrize("name", ["weight", "initial"])
def test_bad_arguments_are_named(name):
    with pytest.raises(ValueError, match=f"{name}: must be at least 0, got -1.0"):
        BetaDecay(**{name: -1.0})
