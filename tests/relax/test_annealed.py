"""Schedules of the temperature: where they begin and end, what lies between, and that noise is what it was."""

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.relax import Annealed, Gumbel, Sampled, Scheduled, Sigmoid, Softmax, UniformPath, is_one_hot

LOGITS = torch.tensor([[0.0, 1.0, -1.0, 0.5], [2.0, 0.0, 0.0, 0.0]])
MASK = torch.tensor([[True, True, True, False], [True, True, True, True]])
TEMPERATURES = st.floats(0.01, 100.0)


@given(start=TEMPERATURES, end=TEMPERATURES, shape=st.sampled_from(["linear", "exponential"]), hard=st.booleans())
@settings(max_examples=20, deadline=None)
def test_the_ends_are_exact(start, end, shape, hard):
    for relaxation in (Softmax(start), Gumbel(start, hard)):
        annealed = Annealed(relaxation, end, shape)
        assert annealed.during(0.0) == relaxation
        assert annealed.during(1.0) == type(relaxation)(**{**vars(relaxation), "temperature": end})


@given(start=TEMPERATURES, end=TEMPERATURES, progress=st.floats(0.0, 1.0))
@settings(max_examples=20, deadline=None)
def test_straight_in_the_temperature_or_in_its_logarithm(start, end, progress):
    linear = Annealed(Softmax(start), end).during(progress).temperature
    assert linear == pytest.approx(start + progress * (end - start))
    exponential = Annealed(Softmax(start), end, "exponential").during(progress).temperature
    assert math.log(exponential) == pytest.approx(math.log(start) + progress * math.log(end / start), abs=1e-9)


def test_gdas_temperatures():
    """From 10 to 0.1 over 250 epochs, τ = 10 − 9.9 · epoch / 249 (arXiv:1910.04465, public code)."""
    annealed = Annealed(Gumbel(10.0, hard=True), 0.1)
    for epoch in (0, 100, 249):
        assert annealed.during(epoch / 249).temperature == pytest.approx(10 - 9.9 * epoch / 249)


def test_what_comes_out_is_the_relaxation_with_its_noise():
    annealed = Annealed(Gumbel(5.0), 0.5)
    late = annealed.during(1.0)
    assert isinstance(late, Sampled)
    assert torch.equal(late.at(3)(LOGITS, MASK), Gumbel(0.5).at(3)(LOGITS, MASK))
    assert torch.equal(annealed(LOGITS, MASK), Softmax(5.0)(LOGITS, MASK))


def test_who_has_a_schedule_and_who_is_one_hot():
    assert isinstance(Annealed(Softmax(), 0.1), Scheduled)
    assert not isinstance(Annealed(Gumbel(), 0.1), Sampled)  # only what `during` gives is
    assert not any(isinstance(relaxation, Scheduled) for relaxation in (Softmax(), Gumbel(), UniformPath()))
    one_hot = (Gumbel(hard=True), Annealed(Gumbel(hard=True), 0.1), UniformPath(), Gumbel(hard=True).at(0))
    soft = (Softmax(), Sigmoid(), Gumbel(), Annealed(Gumbel(), 0.1), Annealed(Softmax(), 0.1), lambda a, b: a)
    assert all(is_one_hot(relaxation) for relaxation in one_hot)
    assert not any(is_one_hot(relaxation) for relaxation in soft)


def test_a_relaxation_of_ones_own_is_annealed_by_its_field():
    @dataclass(frozen=True)
    class Own:
        temperature: float = 3.0

        def __call__(self, logits, mask):
            return logits / self.temperature * mask

    assert Annealed(Own(), 1.0).during(0.5) == Own(2.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Annealed(Sigmoid(), 0.1), r"relaxation: Sigmoid\(\) has no temperature to move; .*Softmax and Gumbel"),
        (lambda: Annealed(lambda a, b: a, 0.1), "has no temperature to move"),
        (lambda: Annealed(Annealed(Softmax(), 0.1), 0.1), "has no temperature to move"),
        (lambda: Annealed(Softmax(), 0.0), "final_temperature: must be above 0, got 0.0"),
        (lambda: Annealed(Softmax(), 0.1, "linar"), "shape: 'linar' is unknown; did you mean 'linear'"),
        (lambda: Annealed(Softmax(), 0.1).during(1.5), r"progress: must lie in \[0, 1\], got 1.5"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
