"""Eq. 1: properties of the softmax mixture under a mask."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.relax import Softmax

SEEDS = st.integers(0, 1000)
TEMPERATURES = st.floats(0.1, 10.0)


def draw(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 5, dtype=torch.float64, generator=generator)
    mask = torch.rand(6, 5, generator=generator) < 0.6
    mask[:, 2] = True
    return logits, mask


@settings(max_examples=20, deadline=None)
@given(SEEDS, TEMPERATURES)
def test_rows_sum_to_one_and_masked_weights_are_zero(seed, temperature):
    logits, mask = draw(seed)
    mixture = Softmax(temperature)(logits, mask)
    torch.testing.assert_close(mixture.sum(dim=1), torch.ones(6, dtype=torch.float64))
    assert (mixture[~mask] == 0).all()
    assert (mixture[mask] > 0).all()
    ratios = torch.where(mask, (logits / temperature).exp(), 0)
    torch.testing.assert_close(mixture, ratios / ratios.sum(dim=1, keepdim=True))


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(-100, 100), TEMPERATURES)
def test_shifting_a_row_changes_nothing(seed, shift, temperature):
    logits, mask = draw(seed)
    relax = Softmax(temperature)
    torch.testing.assert_close(relax(logits + shift, mask), relax(logits, mask), rtol=1e-9, atol=1e-12)


def test_limits_of_the_temperature():
    logits, mask = draw(0)
    allowed = logits.masked_fill(~mask, -torch.inf)
    hard = torch.nn.functional.one_hot(allowed.argmax(dim=1), 5).double()
    torch.testing.assert_close(Softmax(1e-4)(logits, mask), hard)
    flat = mask.double() / mask.sum(dim=1, keepdim=True)
    torch.testing.assert_close(Softmax(1e6)(logits, mask), flat, rtol=1e-4, atol=1e-4)


def test_gradient_is_finite_and_zero_where_masked():
    logits, mask = draw(0)
    logits.requires_grad_()
    (Softmax()(logits, mask) ** 2).sum().backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad[~mask] == 0).all()


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(ValueError, match=r"temperature: must be above 0, got"):
        Softmax(temperature)


def test_members_of_an_ensemble_are_relaxed_alike():
    logits, mask = draw(0)
    together = Softmax(0.5)(torch.stack([logits, 2 * logits]), mask)
    assert torch.equal(together[0], Softmax(0.5)(logits, mask))
    assert torch.equal(together[1], Softmax(0.5)(2 * logits, mask))
