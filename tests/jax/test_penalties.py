"""Penalties in JAX: values and gradients are those of PyTorch's."""

import jax
import numpy as np
import pytest
import torch

from archgrad.arch import LogitGroup
from archgrad.jax.penalties import penalty
from archgrad.relax import BetaDecay, DirichletDistance, Parsimony, Relaxed, ZeroOneLoss

CELL = LogitGroup.dense("a", inputs=1, nodes=2, candidates=("none", "x", "y"), choices={(0, 1): ("none", "y")})
GROUPS = (CELL, LogitGroup.dense("b", inputs=1, nodes=1, candidates=("x", "y")), CELL.node_weights())


def drawn(seed):
    generator = np.random.default_rng(seed)
    return {group.name: generator.normal(size=group.shape) for group in GROUPS}


@pytest.mark.parametrize("part", [ZeroOneLoss(weight=3.0), BetaDecay(weight=50.0, initial=2.0)])
def test_values_and_gradients_are_those_of_pytorch(part):
    """On masked candidates, on two groups of different size, beside a group of edge weights that does not count."""
    logits, mixture = drawn(0), drawn(1)
    twin = penalty(part)
    compiled = jax.jit(
        jax.value_and_grad(lambda both, progress: twin(both["logits"], both["mixture"], GROUPS, progress))
    )
    for progress in (0.0, 0.25, 1.0):
        with jax.enable_x64(True):
            value, gradient = compiled({"logits": logits, "mixture": mixture}, progress)
        both = {
            kind: {name: torch.from_numpy(array).requires_grad_() for name, array in arrays.items()}
            for kind, arrays in (("logits", logits), ("mixture", mixture))
        }
        expected = part(Relaxed(both["logits"], both["mixture"], GROUPS, progress))
        expected.backward()
        assert float(value) == pytest.approx(expected.item(), rel=1e-12)
        assert float(value) != 0
        for kind, tensors in both.items():
            for name, tensor in tensors.items():
                slope = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()
                np.testing.assert_allclose(gradient[kind][name], slope, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("part", [Parsimony(weight=1.0), DirichletDistance(), lambda relaxed: 0.0])
def test_what_has_no_twin_is_refused(part):
    with pytest.raises(ValueError, match=r"penalties: .* has no twin in JAX; allowed are ZeroOneLoss and BetaDecay"):
        penalty(part)
