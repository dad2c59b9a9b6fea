"""The paper's central differences against closed forms and against the exact product."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archgrad.hypergrad import FiniteDifference, FirstOrder, InnerStep, Losses, Unrolled

RATES = st.floats(0.0, 1.0)


def flat(gradients):
    return torch.cat([gradient.flatten() for gradient in gradients.values()])


def hypergradient(problem, estimator, **inner):
    losses = Losses(problem.train, problem.validation)
    return flat(estimator(losses, problem.weights, problem.logits, inner=InnerStep(**inner)))


def second_order_term(problem, estimator, rate):
    """What the estimator adds to the direct gradient at w', which is the exact answer without its product."""
    w = {name: weight.detach().requires_grad_() for name, weight in problem.weights.items()}
    gradients = torch.autograd.grad(problem.train(w, problem.logits), list(w.values()), materialize_grads=True)
    stepped = {name: w[name].detach() - rate * gradient for name, gradient in zip(w, gradients, strict=True)}
    at_stepped = Losses(problem.train, problem.validation)
    direct = flat(FirstOrder()(at_stepped, stepped, problem.logits, inner=InnerStep(learning_rate=rate)))
    return hypergradient(problem, estimator, learning_rate=rate) - direct


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rate=RATES, momentum=RATES, decay=RATES, buffered=st.booleans())
def test_closed_form(quadratic, rate, momentum, decay, buffered):
    """Central differences of a quadratic are exact up to rounding, whatever the step."""
    buffers = quadratic.buffers if buffered else {}
    inner = {"learning_rate": rate, "momentum": momentum, "weight_decay": decay, "buffers": buffers}
    found = hypergradient(quadratic, FiniteDifference(), **inner)
    expected = quadratic.closed_form(rate, momentum, decay, buffered)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_error_falls_with_the_square_of_the_scale(curved):
    exact = hypergradient(curved, Unrolled(), learning_rate=0.1)
    errors = [
        (hypergradient(curved, FiniteDifference(scale), learning_rate=0.1) - exact).norm() for scale in (1e-1, 1e-2)
    ]
    assert 50 < errors[0] / errors[1] < 200


def test_supernet_against_the_exact_product(supernet_problem):
    """A small step, since the kinks of the ReLUs lie close together in a small network: 0.01 jumps over many."""
    exact = second_order_term(supernet_problem, Unrolled(), rate=0.1)
    estimate = second_order_term(supernet_problem, FiniteDifference(scale=1e-6), rate=0.1)
    assert torch.cosine_similarity(exact, estimate, dim=0) > 0.999
    assert 0.999 < estimate.norm() / exact.norm() < 1.001


def test_multiplying_by_the_step_instead_of_dividing_would_be_caught(curved):
    """The mistake of four widely copied ports leaves next to nothing of the term, at the paper's own scale."""
    exact = second_order_term(curved, Unrolled(), rate=0.1)
    estimate = second_order_term(curved, FiniteDifference(), rate=0.1)
    assert estimate.norm() > 0.9 * exact.norm()
    w = {name: weight.detach().requires_grad_() for name, weight in curved.weights.items()}
    loss = curved.validation(w, curved.logits)
    v = torch.autograd.grad(loss, list(w.values()), materialize_grads=True)
    epsilon = FiniteDifference().scale / torch.cat(v).norm()
    assert (estimate * (2 * epsilon) ** 2).norm() < 0.01 * exact.norm()


def test_zero_learning_rate_is_first_order(curved):
    first = hypergradient(curved, FirstOrder(), learning_rate=0.0)
    torch.testing.assert_close(hypergradient(curved, FiniteDifference(), learning_rate=0.0), first)


def test_validation_loss_without_weights_has_no_product(curved):
    """v is zero, and there is no direction to take a difference in."""
    losses = Losses(curved.train, lambda weights, logits: logits["x"].square().sum())
    found = FiniteDifference()(losses, curved.weights, curved.logits, inner=InnerStep(learning_rate=0.1))
    torch.testing.assert_close(found["x"], 2 * curved.logits["x"])
    assert not found["unused"].any()


def test_arguments_stay_as_they_are_bit_for_bit(supernet_problem):
    before = {name: tensor.detach().clone() for name, tensor in supernet_problem.supernet.state_dict().items()}
    logits = {name: tensor.clone() for name, tensor in supernet_problem.logits.items()}
    hypergradient(supernet_problem, FiniteDifference(), learning_rate=0.1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet_problem.supernet.state_dict().items())
    assert all(torch.equal(tensor, logits[name]) for name, tensor in supernet_problem.logits.items())


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_scale_must_be_positive(scale):
    with pytest.raises(ValueError, match=r"scale: must be above 0, got"):
        FiniteDifference(scale)
