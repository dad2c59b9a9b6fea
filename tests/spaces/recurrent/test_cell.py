"""All engines evaluate the same equations, with the same gradients; the equations against numbers by hand."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.spaces.recurrent.cell import EPSILON, Sequence, bundled, first_edges, normalise, per_edge
from archgrad.spaces.recurrent.through_time import compiled_kernels, through_time

LEAVES = (0, 1, 3, 4, 5)  # all tensors of a sequence but the mask


def gradients(engine, sequence, wanted=LEAVES):
    """The outputs, and the gradient of a random projection of them by each tensor."""
    leaves = [
        item.clone().requires_grad_(place in wanted) if place in LEAVES else item for place, item in enumerate(sequence)
    ]
    outputs = engine(Sequence(*leaves))
    weights = torch.randn(outputs.shape, dtype=outputs.dtype, generator=torch.Generator().manual_seed(7))
    return outputs.detach(), *torch.autograd.grad(outputs, [leaves[place] for place in wanted], weights)


@pytest.mark.parametrize("engine", [bundled, through_time])
@pytest.mark.parametrize("dropped", [True, False])
def test_engines_agree_with_the_equations(make_sequence, engine, dropped):
    sequence = make_sequence(dropped=dropped)
    for found, expected in zip(gradients(engine, sequence), gradients(per_edge, sequence), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("names", [("tanh",), ("identity", "relu"), ("sigmoid", "tanh", "identity")])
def test_any_set_of_activations(make_sequence, names):
    sequence = make_sequence(names=names)
    for found, expected in zip(gradients(through_time, sequence), gradients(per_edge, sequence), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(
    time=st.integers(1, 3),
    batch=st.integers(2, 4),
    size=st.integers(1, 4),
    nodes=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_any_sizes(time, batch, size, nodes, seed):
    draws = torch.Generator().manual_seed(seed)
    randn = lambda *shape: torch.randn(shape, dtype=torch.float64, generator=draws)  # noqa: E731
    edges = nodes * (nodes + 1) // 2
    tensors = (
        randn(time, batch, 2 * size),
        randn(batch, size),
        None,
        randn(size, 2 * size),
        randn(nodes, size, 2 * size),
    )
    sequence = Sequence(*tensors, randn(edges, 2).softmax(dim=1), ("tanh", "sigmoid"))
    for found, expected in zip(gradients(through_time, sequence), gradients(per_edge, sequence), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("wanted", [(5,), (0, 3, 4), (1,), (3,), (4,)])
def test_what_nobody_asks_for_changes_nothing(make_sequence, wanted):
    """An architecture step asks for the mixture alone, a weight step for the weights."""
    sequence = make_sequence()
    everything = dict(zip(LEAVES, gradients(through_time, sequence)[1:], strict=True))
    for place, found in zip(wanted, gradients(through_time, sequence, wanted)[1:], strict=True):
        torch.testing.assert_close(found, everything[place], rtol=1e-12, atol=1e-12)


def test_the_written_gradient_says_that_it_has_none_itself(make_sequence):
    sequence = make_sequence()
    shares = sequence.shares.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        through_time(sequence._replace(shares=shares)).square().sum(), shares, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_one_node_by_hand():
    """Two columns of one unit: a batch of two is normalised to ±1 nearly, whatever it was."""
    sequence = Sequence(
        torch.tensor([[[0.3, -0.2], [-1.0, 0.7]]], dtype=torch.float64),
        torch.tensor([[0.5], [-0.4]], dtype=torch.float64),
        None,
        torch.tensor([[1.5, -0.5]], dtype=torch.float64),
        torch.tensor([[[0.4, 0.9]]], dtype=torch.float64),
        torch.tensor([[0.6]], dtype=torch.float64),  # `none` has the other 0.4
        ("tanh",),
    )
    gate = lambda value: 1 / (1 + math.exp(-value))  # noqa: E731

    def normalised(first, second):
        half = (first - second) / 2
        return half / math.sqrt(half**2 + EPSILON), -half / math.sqrt(half**2 + EPSILON)

    start = [h + gate(c + 1.5 * h) * (math.tanh(t - 0.5 * h) - h) for h, c, t in ((0.5, 0.3, -0.2), (-0.4, -1.0, 0.7))]
    node = [0.6 * (s + gate(0.4 * s) * (math.tanh(0.9 * s) - s)) for s in normalised(*start)]
    expected = torch.tensor(normalised(*node), dtype=torch.float64).view(1, 2, 1)
    for engine in (per_edge, bundled, through_time):
        torch.testing.assert_close(engine(sequence), expected, rtol=1e-12, atol=1e-12)


def test_none_scales_a_node_and_batch_normalisation_takes_the_scale_away(make_sequence):
    """Halving all shares of a node is `none` taking half of the mass: the state before normalisation halves."""
    sequence = make_sequence(nodes=1)
    halved = sequence._replace(shares=sequence.shares / 2)
    whole, half = per_edge(sequence), per_edge(halved)
    torch.testing.assert_close(whole, half, rtol=1e-3, atol=1e-3)
    assert not torch.equal(whole, half)  # ε does not scale


def test_normalisation_is_that_of_torch():
    states = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.batch_norm(states, None, None, training=True, eps=EPSILON)
    torch.testing.assert_close(normalise(states), expected, rtol=1e-12, atol=1e-12)


def test_rows_are_those_of_the_table():
    from archgrad.spaces import RecurrentCellSpace

    (group,) = RecurrentCellSpace(vocabulary_size=5, hidden_size=4, nodes=5).groups
    assert first_edges(5) == [group.entering(node)[0] for node in range(1, 6)]


def test_without_a_compiler_the_search_goes_on(monkeypatch):
    def broken(*arguments, **options):
        def fail(*arguments, **options):
            raise RuntimeError("no compiler")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    compiled_kernels.cache_clear()
    with pytest.warns(UserWarning, match="does not start here .*no compiler.* going on without it"):
        kernels = compiled_kernels(torch.device("cpu"))
    compiled_kernels.cache_clear()
    assert kernels.combine.__name__ == "combine"


COMPILED = """
import torch
from archgrad.spaces.recurrent.cell import Sequence, per_edge
from archgrad.spaces.recurrent.through_time import compiled
torch.manual_seed(0)
randn = lambda *shape: torch.randn(shape, dtype=torch.float64)
shares = randn(6, 4).softmax(dim=1)
given = randn(4, 6, 10), randn(6, 5), None, randn(5, 10), randn(3, 5, 10), shares
found = []
for engine in (compiled, per_edge):
    leaves = [None if item is None else item.clone().requires_grad_() for item in given]
    outputs = engine(Sequence(*leaves, ("tanh", "relu", "sigmoid", "identity")))
    found.append([outputs, *torch.autograd.grad(outputs.sin().sum(), [leaf for leaf in leaves if leaf is not None])])
for first, second in zip(*found):
    torch.testing.assert_close(first, second, rtol=1e-8, atol=1e-9)
"""


@pytest.mark.slow
def test_compiled_kernels_agree():
    """In a process without the checks of annotations, which a compiler cannot follow."""
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
