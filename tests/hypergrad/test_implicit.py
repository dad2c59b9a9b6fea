"""The implicit hypergradient against closed forms, dense solves, and the derivative of the inner optimum itself."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.hypergrad import ConjugateGradient, FirstOrder, Implicit, InnerStep, Losses, Neumann, Unrolled, implicit

SIZE = 6


def flat(gradients):
    return torch.cat([gradient.flatten() for gradient in gradients.values()])


def problem(eigenvalues, seed=0):
    """L_train = ½ wᵀAw − wᵀBα, L_val = ½‖w − t‖² + cᵀα, with w and α in two named parts each; A has these eigenvalues.

    ∇²_{w,w} L_train = A and ∇²_{α,w} L_train = −Bᵀ, so that the hypergradient is c + Bᵀ (A + λ·I)⁻¹ (w − t).
    """
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=generator)  # noqa: E731
    basis, _ = torch.linalg.qr(draw(SIZE, SIZE))
    a, b = basis @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ basis.T, draw(SIZE, 4)
    t, c, w, alpha = draw(SIZE), draw(4), draw(SIZE), draw(4)

    def train(weights, logits):
        w, alpha = flat(weights), flat(logits)
        return w @ a @ w / 2 - w @ b @ alpha

    def validation(weights, logits):
        return (flat(weights) - t).square().sum() / 2 + c @ flat(logits)

    return SimpleNamespace(
        a=a,
        b=b,
        t=t,
        c=c,
        w=w,
        alpha=alpha,
        train=train,
        validation=validation,
        weights={"first": w[:2].clone().requires_grad_(), "second": w[2:].view(2, 2).clone().requires_grad_()},
        logits={"x": alpha[None, :1].clone(), "y": alpha[None, 1:].clone()},
    )


def hypergradient(given, estimator, **inner):
    inner = {"learning_rate": 0.1, **inner}
    losses = Losses(given.train, given.validation)
    return estimator(losses, given.weights, given.logits, inner=InnerStep(**inner))


DEFINITE = problem([0.5, 0.7, 1.0, 1.5, 2.0, 3.0])
EXACT = Implicit(ConjugateGradient(iterations=SIZE, damping=0.0))


@settings(max_examples=20, deadline=None)
@given(decay=st.floats(0.0, 1.0), damping=st.floats(0.0, 1.0), bound=st.sampled_from([None, 0.25, 1e6]))
def test_conjugate_gradients_solve_the_system(decay, damping, bound):
    estimator = Implicit(ConjugateGradient(iterations=SIZE, damping=damping))
    found = hypergradient(DEFINITE, estimator, weight_decay=decay, gradient_clip=bound)
    v = DEFINITE.w - DEFINITE.t
    v = v if bound is None else v * min(1.0, bound / float(v.norm()))
    system = DEFINITE.a + (decay + damping) * torch.eye(SIZE, dtype=torch.float64)
    expected = DEFINITE.c + DEFINITE.b.T @ torch.linalg.solve(system, v)
    torch.testing.assert_close(flat(found), expected, rtol=1e-9, atol=1e-9)
    assert list(found) == ["x", "y"]
    assert found["y"].shape == (1, 3)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_at_the_inner_optimum_it_is_the_total_derivative(decay):
    """w*(α) = (A + λ·I)⁻¹ Bα, where inner steps with weight decay λ come to rest; the derivative of L_val(w*(α), α)."""
    system = DEFINITE.a + decay * torch.eye(SIZE, dtype=torch.float64)
    alpha = DEFINITE.alpha.clone().requires_grad_()
    w = torch.linalg.solve(system, DEFINITE.b @ alpha)
    value = DEFINITE.validation({"w": w}, {"alpha": alpha})
    (expected,) = torch.autograd.grad(value, alpha)

    optimum = SimpleNamespace(**{**vars(DEFINITE), "weights": {"w": w.detach()}})
    step = InnerStep(learning_rate=0.1, weight_decay=decay)
    rest = step(optimum.weights, {"w": DEFINITE.a @ w.detach() - DEFINITE.b @ DEFINITE.alpha})
    torch.testing.assert_close(rest["w"], w.detach())
    found = hypergradient(optimum, EXACT, weight_decay=decay)
    torch.testing.assert_close(flat(found), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("terms", [1, 2, 5])
@pytest.mark.parametrize("step", [None, 0.3])
def test_neumann_series_term_by_term(terms, step):
    found = flat(hypergradient(DEFINITE, Implicit(Neumann(terms=terms, step=step)), weight_decay=0.2))
    rate = 0.1 if step is None else step
    system = DEFINITE.a + 0.2 * torch.eye(SIZE, dtype=torch.float64)
    powers = [torch.linalg.matrix_power(torch.eye(SIZE) - rate * system, j) for j in range(terms)]
    expected = DEFINITE.c + rate * DEFINITE.b.T @ sum(powers) @ (DEFINITE.w - DEFINITE.t)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_the_neumann_series_converges_to_conjugate_gradients():
    exact = flat(hypergradient(DEFINITE, EXACT))
    errors = [
        float((flat(hypergradient(DEFINITE, Implicit(Neumann(terms=terms, step=0.5)))) - exact).norm())
        for terms in (1, 10, 100)
    ]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]
    assert errors[2] < 1e-9


def test_one_term_is_the_second_order_of_darts():
    """Where ∇_w L_val is the same at w and w'."""
    slope = torch.randn(SIZE, dtype=torch.float64)
    linear = SimpleNamespace(**{**vars(DEFINITE), "validation": lambda w, a: slope @ flat(w) + flat(a).sum()})
    found = hypergradient(linear, Implicit(Neumann(terms=1)), learning_rate=0.3)
    expected = hypergradient(linear, Unrolled(), learning_rate=0.3)
    torch.testing.assert_close(flat(found), flat(expected), rtol=1e-12, atol=1e-12)


def test_it_stops_at_negative_curvature():
    """With the step before it; at once, that is the first order. Damping makes the system definite."""
    indefinite = problem([4.0, 3.0, 2.0, 1.0, 0.5, -0.2], seed=3)
    v = indefinite.w - indefinite.t
    length = v @ v / (v @ indefinite.a @ v)
    assert length > 0
    runs = [
        flat(hypergradient(indefinite, Implicit(ConjugateGradient(iterations=n, damping=0.0)))) for n in range(1, 12)
    ]
    torch.testing.assert_close(runs[0], indefinite.c + indefinite.b.T @ (length * v))
    stopped = next(n for n in range(10) if torch.equal(runs[n], runs[n + 1]))
    assert stopped < SIZE - 1
    assert all(torch.equal(run, runs[stopped]) for run in runs[stopped:])

    negative = problem([-1.0, -2.0, -3.0, -4.0, -5.0, -6.0])
    torch.testing.assert_close(flat(hypergradient(negative, EXACT)), negative.c)
    damped = flat(hypergradient(indefinite, Implicit(ConjugateGradient(iterations=SIZE, damping=1.0))))
    system = indefinite.a + torch.eye(SIZE, dtype=torch.float64)
    expected = indefinite.c + indefinite.b.T @ torch.linalg.solve(system, v)
    torch.testing.assert_close(damped, expected, rtol=1e-9, atol=1e-9)


def test_more_iterations_than_there_are_eigenvalues_change_nothing():
    few = problem([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
    two, many = (flat(hypergradient(few, Implicit(ConjugateGradient(iterations=n, damping=0.0)))) for n in (2, 50))
    torch.testing.assert_close(two, many, rtol=1e-9, atol=1e-9)


def test_every_part_counts_and_momentum_does_not():
    base = flat(hypergradient(DEFINITE, Implicit(ConjugateGradient(iterations=3, damping=0.1)), weight_decay=0.1))
    for solver in (ConjugateGradient(iterations=2, damping=0.1), ConjugateGradient(iterations=3, damping=0.2)):
        assert (flat(hypergradient(DEFINITE, Implicit(solver), weight_decay=0.1)) - base).norm() > 1e-3
    solver = Implicit(ConjugateGradient(iterations=3, damping=0.1))
    for change in ({"weight_decay": 0.2}, {"weight_decay": 0.1, "gradient_clip": 0.1}):
        assert (flat(hypergradient(DEFINITE, solver, **change)) - base).norm() > 1e-3, change
    buffers = {name: torch.ones_like(weight) for name, weight in DEFINITE.weights.items()}
    same = hypergradient(DEFINITE, solver, weight_decay=0.1, momentum=0.9, buffers=buffers, learning_rate=7.0)
    assert torch.equal(flat(same), base)


@pytest.mark.parametrize("solver", [ConjugateGradient(damping=0.1), Neumann()])
def test_unused_weights_and_logits_get_zeros(curved, solver):
    """`unused` enters neither loss, `idle` the validation loss only."""
    found = hypergradient(curved, Implicit(solver))
    assert found["x"].isfinite().all()
    assert torch.equal(found["unused"], torch.zeros(2, 2, dtype=torch.float64))


@pytest.mark.parametrize("which", ["train", "validation"])
def test_losses_without_weights_are_first_order(which):
    constant = lambda weights, logits: flat(logits).sum() + 0 * weights["first"].sum()  # noqa: E731
    given = SimpleNamespace(**{**vars(DEFINITE), which: constant})
    torch.testing.assert_close(
        flat(hypergradient(given, EXACT)), flat(hypergradient(given, FirstOrder())), rtol=1e-12, atol=1e-12
    )


def test_supernet_without_the_context(smaller_problem, monkeypatch):
    """The closed forms of second derivatives, those by (w, w) among them, against PyTorch's own."""
    estimator = Implicit(Neumann(terms=3, step=0.1))
    closed = flat(hypergradient(smaller_problem, estimator))
    monkeypatch.setattr(implicit, "second_derivatives", nullcontext)
    native = flat(hypergradient(smaller_problem, estimator))
    assert not torch.equal(closed, native)
    assert (closed - native).norm() <= 1e-9 * native.norm()


def test_training_loss_is_evaluated_once_and_arguments_stay(supernet_problem):
    calls = []
    logits = {name: tensor.clone() for name, tensor in supernet_problem.logits.items()}
    before = {name: tensor.detach().clone() for name, tensor in supernet_problem.weights.items()}
    losses = Losses(lambda *given: calls.append("train") or supernet_problem.train(*given), supernet_problem.validation)
    estimator = Implicit(ConjugateGradient(iterations=1))
    estimator(losses, supernet_problem.weights, supernet_problem.logits, inner=InnerStep(learning_rate=0.1))
    assert calls == ["train"]
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet_problem.weights.items())
    assert all(torch.equal(tensor, logits[name]) for name, tensor in supernet_problem.logits.items())
    assert all(weight.grad is None for weight in supernet_problem.weights.values())


def test_supernet_against_a_dense_solve(smaller_problem):
    """H and the mixed derivative as matrices, by torch's own functional interface, for some of the weights."""
    everything = {name: weight.detach() for name, weight in smaller_problem.weights.items()}
    bundle = (
        "cells.0.interior.bundles.{}.operations.sep_conv_3x3.body.0"  # of edge 0 masked, hence with a gradient of 0
    )
    kept = (bundle.format(0), bundle.format(1), "classifier.bias")
    chosen = [name for name in everything if name.startswith(kept)]
    sizes = [everything[name].numel() for name in chosen]
    vector = torch.cat([everything[name].flatten() for name in chosen])

    def on(loss):
        return lambda weights, logits: loss({**everything, **weights}, logits)

    def flattened(loss):
        def of(vector, *logits):
            parts = zip(chosen, vector.split(sizes), strict=True)
            weights = {name: part.view_as(everything[name]) for name, part in parts}
            return loss({**everything, **weights}, dict(zip(smaller_problem.logits, logits, strict=True)))

        return of

    given = SimpleNamespace(
        train=on(smaller_problem.train),
        validation=on(smaller_problem.validation),
        weights={name: everything[name] for name in chosen},
        logits=smaller_problem.logits,
    )
    inputs = (vector, *given.logits.values())
    blocks = torch.autograd.functional.hessian(flattened(smaller_problem.train), inputs)
    v, *direct = torch.autograd.functional.jacobian(flattened(smaller_problem.validation), inputs)
    damping, decay = 0.1 - min(0.0, float(torch.linalg.eigvalsh(blocks[0][0])[0])), 0.01
    solution = torch.linalg.solve(blocks[0][0] + (damping + decay) * torch.eye(len(v), dtype=v.dtype), v)
    products = [torch.tensordot(solution, block, 1) for block in blocks[0][1:]]
    expected = torch.cat([(first - product).flatten() for first, product in zip(direct, products, strict=True)])

    solver = ConjugateGradient(iterations=2 * len(v), damping=damping)
    found = hypergradient(given, Implicit(solver), weight_decay=decay)
    assert (flat(found) - expected).norm() <= 1e-9 * expected.norm()
    first = flat(hypergradient(given, FirstOrder()))
    assert (expected - first).norm() > 1e-3 * first.norm()
    assert found["normal"][0, 2] == 0  # masked
    assert (found["reduce"] != 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConjugateGradient(iterations=0), "iterations: must be at least 1, got 0"),
        (lambda: ConjugateGradient(damping=-0.1), "damping: must be at least 0, got -0.1"),
        (lambda: Neumann(terms=0), "terms: must be at least 1, got 0"),
        (lambda: Neumann(step=0.0), "step: must be above 0, got 0.0"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
