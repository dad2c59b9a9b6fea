"""The exact second-order hypergradient against closed forms and against differentiation through the inner step."""

from contextlib import nullcontext

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archgrad.hypergrad import FiniteDifference, FirstOrder, InnerStep, Losses, Unrolled, unrolled

RATES = st.floats(0.0, 1.0)


def flat(gradients):
    return torch.cat([gradient.flatten() for gradient in gradients.values()])


def hypergradient(problem, estimator=None, **inner):
    losses = Losses(problem.train, problem.validation)
    return (estimator or Unrolled())(losses, problem.weights, problem.logits, inner=InnerStep(**inner))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rate=RATES, momentum=RATES, decay=RATES, buffered=st.booleans())
def test_closed_form(quadratic, rate, momentum, decay, buffered):
    buffers = quadratic.buffers if buffered else {}
    found = hypergradient(quadratic, learning_rate=rate, momentum=momentum, weight_decay=decay, buffers=buffers)
    expected = quadratic.closed_form(rate, momentum, decay, buffered)
    torch.testing.assert_close(flat(found), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("estimator", [Unrolled(), FiniteDifference()])
@pytest.mark.parametrize("bound", [0.25, 1.0, 1e6])
def test_clipping_bounds_the_gradient_before_the_step_and_the_vector_of_the_product(quadratic, estimator, bound):
    inner = {"learning_rate": 0.3, "momentum": 0.9, "weight_decay": 0.1, "buffers": quadratic.buffers}
    found = flat(hypergradient(quadratic, estimator, **inner, gradient_clip=bound))
    expected = quadratic.closed_form(0.3, 0.9, 0.1, clip=bound)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    unbounded = quadratic.closed_form(0.3, 0.9, 0.1)
    assert torch.allclose(expected, unbounded) == (bound == 1e6)


def test_a_gradient_of_zero_stays_zero():
    zero = {"w": torch.zeros(3)}
    assert torch.equal(InnerStep(learning_rate=1.0, gradient_clip=0.25).clipped(zero)["w"], zero["w"])


def test_total_derivative_of_a_curved_problem(curved, total_derivative):
    inner = {"momentum": 0.9, "buffers": curved.buffers}
    found = hypergradient(curved, learning_rate=0.1, weight_decay=0.3, **inner)
    expected = total_derivative(curved, rate=0.1, decay=0.3, **inner)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-12, atol=1e-12)


def test_unused_weights_and_logits_get_zeros(curved):
    """`unused` enters neither loss, `idle` the validation loss only."""
    found = hypergradient(curved, learning_rate=0.1)
    assert found["x"].abs().min() > 0
    assert torch.equal(found["unused"], torch.zeros(2, 2, dtype=torch.float64))


def test_zero_learning_rate_is_first_order(curved):
    first = hypergradient(curved, FirstOrder(), learning_rate=0.0)
    assert torch.equal(flat(hypergradient(curved, learning_rate=0.0, momentum=0.9)), flat(first))


def test_every_part_of_the_inner_step_counts(quadratic):
    inner = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.1, "buffers": quadratic.buffers}
    base = flat(hypergradient(quadratic, **inner))
    for change in ({"learning_rate": 0.2}, {"momentum": 0.5}, {"weight_decay": 0.2}, {"buffers": {}}):
        assert (flat(hypergradient(quadratic, **{**inner, **change})) - base).norm() > 1e-3, change


@pytest.mark.parametrize("which", ["train", "validation"])
def test_losses_without_weights(quadratic, which):
    """Without weights in the training loss the product is zero, and w' is w; without them in the other, v is zero."""
    constant = lambda weights, logits: logits["y"].sum() + 0 * weights["first"].sum()  # noqa: E731
    losses = Losses(quadratic.train, quadratic.validation)._replace(**{which: constant})
    inner = InnerStep(learning_rate=0.1)
    first = FirstOrder()(losses, quadratic.weights, quadratic.logits, inner=inner)
    found = Unrolled()(losses, quadratic.weights, quadratic.logits, inner=inner)
    torch.testing.assert_close(flat(found), flat(first), rtol=1e-12, atol=1e-12)


def test_training_loss_without_logits_has_no_product(quadratic):
    losses = Losses(lambda weights, logits: weights["first"].sum() * 3.0, quadratic.validation)
    found = Unrolled()(losses, quadratic.weights, quadratic.logits, inner=InnerStep(learning_rate=0.1))
    torch.testing.assert_close(flat(found), quadratic.closed_form(rate=0.0), rtol=1e-12, atol=1e-12)


def test_arguments_stay_as_they_are_bit_for_bit(supernet_problem):
    before = {name: tensor.detach().clone() for name, tensor in supernet_problem.supernet.state_dict().items()}
    logits = {name: tensor.clone() for name, tensor in supernet_problem.logits.items()}
    buffers = {name: torch.ones_like(weight) for name, weight in supernet_problem.weights.items()}
    hypergradient(supernet_problem, learning_rate=0.1, momentum=0.9, buffers=buffers)
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet_problem.supernet.state_dict().items())
    assert all(torch.equal(tensor, logits[name]) for name, tensor in supernet_problem.logits.items())
    assert all(buffer.eq(1).all() for buffer in buffers.values())
    assert all(weight.grad is None for weight in supernet_problem.weights.values())
    assert not any(tensor.requires_grad for tensor in supernet_problem.logits.values())


def test_supernet_against_the_total_derivative(supernet_problem, total_derivative):
    """PyTorch's own double backward, outside the context, of the whole second-order objective."""
    found = flat(hypergradient(supernet_problem, learning_rate=0.1, weight_decay=0.01))
    expected = flat(total_derivative(supernet_problem, rate=0.1, decay=0.01))
    assert (found - expected).norm() <= 1e-9 * expected.norm()
    first = flat(hypergradient(supernet_problem, FirstOrder(), learning_rate=0.1))
    assert (expected - first).norm() > 1e-2 * expected.norm()


def test_supernet_without_the_context(supernet_problem, monkeypatch):
    closed = flat(hypergradient(supernet_problem, learning_rate=0.1))
    monkeypatch.setattr(unrolled, "mixed_derivatives", nullcontext)
    native = flat(hypergradient(supernet_problem, learning_rate=0.1))
    assert not torch.equal(closed, native)
    assert (closed - native).norm() <= 1e-9 * native.norm()


def test_training_loss_is_evaluated_once(curved):
    calls = []
    losses = Losses(lambda *arguments: calls.append("train") or curved.train(*arguments), curved.validation)
    Unrolled()(losses, curved.weights, curved.logits, inner=InnerStep(learning_rate=0.1))
    assert calls == ["train"]
