"""Products with ∇²_α L and its largest eigenvalue against dense matrices, on polynomials and on a tiny supernet."""

import math
from contextlib import nullcontext
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.hypergrad import curvature, dense_hessian, dominant_eigenvalue, hessian_product

SEEDS = st.integers(0, 1000)


def flat(tensors):
    return torch.cat([tensor.flatten() for tensor in tensors.values()])


def quadratic(eigenvalues, seed=0):
    """½ αᵀHα over two groups of logits, H with these eigenvalues; the loss, H and α."""
    generator = torch.Generator().manual_seed(seed)
    size = len(eigenvalues)
    basis, _ = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=generator))
    hessian = basis @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ basis.T
    logits = torch.randn(size, dtype=torch.float64, generator=generator)
    return (
        lambda logits: flat(logits) @ hessian @ flat(logits) / 2,
        hessian,
        {"a": logits[:2].view(1, 2), "b": logits[2:].view(2, -1)},
    )


def quartic(seed):
    """Σ (Mα)⁴ − ‖Nα‖², which curves both ways."""
    generator = torch.Generator().manual_seed(seed)
    m, n = torch.randn(2, 7, 8, dtype=torch.float64, generator=generator)
    logits = torch.randn(8, dtype=torch.float64, generator=generator)
    return lambda logits: (m @ flat(logits)).pow(4).sum() - (n @ flat(logits)).square().sum(), {
        "a": logits[:6].view(2, 3),
        "b": logits[6:].view(1, 2),
    }


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, eigenvalues=st.lists(st.floats(-10, 10), min_size=4, max_size=8).filter(lambda v: len(v) % 2 == 0))
def test_quadratics(seed, eigenvalues):
    loss, hessian, logits = quadratic(eigenvalues, seed)
    torch.testing.assert_close(dense_hessian(loss, logits), hessian, rtol=1e-10, atol=1e-10)
    found = dominant_eigenvalue(loss, logits, seed=seed)
    assert found == pytest.approx(max(eigenvalues), rel=1e-9, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_quartics(seed):
    loss, logits = quartic(seed)
    matrix = torch.autograd.functional.hessian(lambda vector: loss({"a": vector[:6], "b": vector[6:]}), flat(logits))
    torch.testing.assert_close(dense_hessian(loss, logits), matrix, rtol=1e-9, atol=1e-9)
    direction = {name: torch.randn_like(tensor) for name, tensor in logits.items()}
    found = hessian_product(loss, logits, direction)
    assert {name: tensor.shape for name, tensor in found.items()} == {"a": (2, 3), "b": (1, 2)}
    torch.testing.assert_close(flat(found), matrix @ flat(direction), rtol=1e-9, atol=1e-9)
    expected = float(torch.linalg.eigvalsh(matrix)[-1])
    assert dominant_eigenvalue(loss, logits) == pytest.approx(expected, rel=1e-8)


def test_the_largest_is_the_algebraic_one():
    """Not that of the largest magnitude, −9 here."""
    loss, _, logits = quadratic([-9.0, 2.0, 1.0, -3.0])
    assert dominant_eigenvalue(loss, logits) == pytest.approx(2.0)
    loss, _, logits = quadratic([-9.0, -2.0, -1.0, -3.0])
    assert dominant_eigenvalue(loss, logits) == pytest.approx(-1.0)


def test_iterations_bring_it_up_from_below():
    loss, _, logits = quadratic([float(value) for value in range(-20, 20)])
    found = [dominant_eigenvalue(loss, logits, iterations=n) for n in (1, 2, 4, 8, 16, 40)]
    assert all(before < after for before, after in pairwise(found))
    assert found[-1] == pytest.approx(19.0, rel=1e-9)


def test_the_seed_says_where_it_begins():
    loss, _, logits = quadratic([float(value) for value in range(10)])
    one, same, other = (dominant_eigenvalue(loss, logits, iterations=2, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    before = torch.random.get_rng_state()
    dominant_eigenvalue(loss, logits)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("eigenvalues", [[3.0] * 6, [1.0, 1.0, 5.0, 5.0, 0.0, 0.0], [0.0] * 4])
def test_it_stops_when_the_space_is_exhausted(eigenvalues, monkeypatch):
    """After as many products as there are different eigenvalues."""
    loss, _, logits = quadratic(eigenvalues)
    calls, product = [], curvature._Product.__call__
    monkeypatch.setattr(curvature._Product, "__call__", lambda self, v: calls.append(1) or product(self, v))
    assert dominant_eigenvalue(loss, logits, iterations=1000) == pytest.approx(max(eigenvalues), abs=1e-9)
    assert len(calls) == len(set(eigenvalues))


def test_losses_that_do_not_curve():
    logits = {"a": torch.ones(1, 3), "b": torch.ones(2, 2)}
    for loss in (lambda a: a["a"].sum() * 2.0, lambda a: torch.tensor(1.0)):
        assert dominant_eigenvalue(loss, logits) == 0.0
        assert torch.equal(dense_hessian(loss, logits), torch.zeros(7, 7))
    assert math.isnan(dominant_eigenvalue(lambda a: (a["a"] - 1).abs().pow(1.5).sum(), logits))


def test_supernet_against_the_dense_hessian(smaller_problem, monkeypatch):
    """All logits of both kinds of cells, one candidate masked."""
    weights = {name: weight.detach() for name, weight in smaller_problem.weights.items()}
    calls = []

    def loss(logits):
        calls.append("loss")
        return smaller_problem.validation(weights, logits)

    logits = smaller_problem.logits
    assert [(name, tensor.shape) for name, tensor in logits.items()] == [("normal", (2, 3)), ("reduce", (2, 3))]
    monkeypatch.setattr(curvature, "mixed_derivatives", nullcontext)
    native = dense_hessian(loss, logits)
    monkeypatch.undo()
    matrix = dense_hessian(loss, logits)
    torch.testing.assert_close(matrix, native, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(matrix, matrix.T, rtol=1e-9, atol=1e-12)
    assert (matrix[2] == 0).all()  # masked
    assert (matrix[3:6, 6:] != 0).all()

    calls.clear()
    found = dominant_eigenvalue(loss, logits, iterations=9)  # of 12
    assert calls == ["loss"]
    assert found == pytest.approx(float(torch.linalg.eigvalsh(matrix)[-1]), rel=1e-6)
    assert all(weight.grad is None for weight in smaller_problem.weights.values())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda loss, a: dominant_eigenvalue(loss, a, iterations=0), "iterations: must be at least 1, got 0"),
        (lambda loss, a: hessian_product(loss, a, {"a": a["a"]}), "direction: must have the logits' groups and shapes"),
    ],
)
def test_bad_arguments_are_named(call, message):
    loss, _, logits = quadratic([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match=message):
        call(loss, logits)
