"""Losses of many members at once against each written out."""

import math

import pytest
import torch

from archgrad.tasks import Regression, Task

GENERATOR = torch.Generator().manual_seed(0)
OUTPUTS = torch.randn(3, 5, generator=GENERATOR)
WANTED = torch.rand(5, generator=GENERATOR)
WEIGHTS = torch.tensor([1.0, 0.0, 2.0, 1.0, 3.0])
TARGETS = torch.stack([WANTED, WEIGHTS], dim=1)
INPUTS = torch.zeros(5, 2)


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


LOSSES = {
    "identity": lambda eta, y: (eta - y) ** 2,
    "sigmoid": lambda eta, y: (sigmoid(eta) - y) ** 2,
    "deviance": lambda eta, y: -y * math.log(sigmoid(eta)) - (1 - y) * math.log(1 - sigmoid(eta)),
}


@pytest.mark.parametrize("link", LOSSES)
def test_losses_of_members_are_weighted_means(link):
    for targets, weights in ((TARGETS, WEIGHTS), (WANTED, torch.ones(5))):
        found = Regression(link=link).member_losses(OUTPUTS, targets)
        for member in range(3):
            rows = zip(OUTPUTS[member].tolist(), WANTED.tolist(), weights.tolist(), strict=True)
            expected = sum(weight * LOSSES[link](eta, y) for eta, y, weight in rows) / float(weights.sum())
            assert float(found[member]) == pytest.approx(expected, rel=1e-5)


def test_a_weight_of_two_is_the_row_twice():
    rows = torch.tensor([0, 2, 2, 3, 4, 4, 4])
    torch.testing.assert_close(
        Regression().member_losses(OUTPUTS, TARGETS), Regression().member_losses(OUTPUTS[:, rows], WANTED[rows])
    )
    assert Regression().member_losses(OUTPUTS, TARGETS * torch.tensor([1.0, 0.0])).tolist() == [0, 0, 0]


def test_the_loss_is_the_sum_over_members():
    task = Regression()
    assert isinstance(task, Task)
    evaluation = task.evaluate(lambda inputs: OUTPUTS, (INPUTS, TARGETS), "carry")
    losses = task.member_losses(OUTPUTS, TARGETS)
    torch.testing.assert_close(evaluation.loss, losses.sum())
    assert evaluation.metrics == {"loss": losses.min(), "median_loss": losses.median()}
    assert (evaluation.examples, evaluation.carry) == (5, "carry")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_member_that_is_not_finite_takes_no_part(value):
    outputs = OUTPUTS.clone()
    outputs[1, 2] = value
    outputs.requires_grad_()
    evaluation = Regression().evaluate(lambda inputs: outputs, (INPUTS, TARGETS), None)
    others = Regression().member_losses(OUTPUTS[[0, 2]], TARGETS)
    torch.testing.assert_close(evaluation.loss, others.sum())
    assert evaluation.metrics["loss"] == others.min()
    evaluation.loss.backward()
    assert outputs.grad[[0, 2]].isfinite().all()
    assert (outputs.grad[0] != 0).sum() == 4  # all but the row without weight


def test_if_no_member_is_finite_neither_is_the_loss():
    evaluation = Regression().evaluate(lambda inputs: OUTPUTS * math.nan, (INPUTS, TARGETS), None)
    assert not evaluation.loss.isfinite()


def test_unknown_links_are_refused():
    with pytest.raises(ValueError, match=r"link: 'logit' is unknown; .*Allowed: identity, sigmoid, deviance"):
        Regression(link="logit")
