import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.schedule import cosine, exponential, poly, warmed_up


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 1.0), st.integers(1, 50))
def test_cosine_falls_from_the_first_rate_towards_the_last(initial, epochs):
    rates = [cosine(initial, 0.0, epoch=epoch, epochs=epochs) for epoch in range(epochs)]
    assert rates[0] == initial
    assert rates == sorted(rates, reverse=True)
    assert cosine(initial, 0.1, epoch=epochs, epochs=epochs) == pytest.approx(0.1)


def test_cosine_is_that_of_the_scheduler_in_torch():
    """The public code's CosineAnnealingLR, stepped once an epoch, with the search's settings."""
    import torch

    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.025)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50, eta_min=0.001)
    for epoch in range(50):
        assert cosine(0.025, 0.001, epoch=epoch, epochs=50) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()


def test_exponential():
    assert [exponential(0.1, 0.97, epoch=epoch) for epoch in (0, 1, 2)] == pytest.approx([0.1, 0.097, 0.09409])


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 1.0), st.floats(0.1, 3.0), st.integers(1, 50))
def test_poly_falls_from_the_first_rate_to_zero(initial, power, steps):
    rates = [poly(initial, power, step=step, steps=steps) for step in range(steps + 1)]
    assert (rates[0], rates[-1]) == (initial, 0.0)
    assert rates == sorted(rates, reverse=True)
    assert poly(initial, 1.0, step=1, steps=4) == pytest.approx(0.75 * initial)


def test_poly_is_that_of_the_scheduler_in_torch():
    import torch

    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.05)
    scheduler = torch.optim.lr_scheduler.PolynomialLR(optimizer, 30, power=0.9)
    for step in range(30):
        assert poly(0.05, 0.9, step=step, steps=30) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()


def test_warm_up_is_linear_and_then_over():
    assert [warmed_up(0.4, epoch=epoch, warmup_epochs=4) for epoch in range(6)] == pytest.approx(
        [0.1, 0.2, 0.3, 0.4, 0.4, 0.4]
    )
    assert warmed_up(0.4, epoch=0, warmup_epochs=0) == 0.4
