"""The relaxed network in Flax against the one in PyTorch, which is Eq. 2 and 3 to the letter."""

import inspect

import jax
import numpy as np
import pytest
import torch
from flax import nnx

from archgrad.jax.conversion import to_torch
from archgrad.jax.supernet import ConvSupernet, check_space
from archgrad.mixing import Mixing
from archgrad.spaces import ConvCellSpace, NASBench201Space

TINY = {"channels": 4, "layers": 3, "num_classes": 3, "in_channels": 2}

SPACES = {
    "all candidates": ConvCellSpace(**TINY, nodes=1),
    "narrowed, large images": ConvCellSpace(
        **TINY,
        nodes=2,
        stem="imagenet",
        candidates=("none", "skip_connect", "dil_conv_3x3"),
        choices={
            "normal": {(0, 2): ("skip_connect",), (2, 3): ("none",)},
            "reduce": {(1, 3): ("none", "dil_conv_3x3")},
        },
    ),
    "all mixing": ConvCellSpace(
        **TINY,
        nodes=2,
        candidates=("none", "avg_pool_3x3", "dil_conv_3x3"),
        mixing=Mixing(partial_channels=2, edge_normalisation=True, auxiliary_skip=0.7),
    ),
}


@pytest.fixture(scope="module", params=list(SPACES))
def both(request):
    """A space, its supernet on either side with the same weights, and images and mixture for them.

    Mixtures have weights for all candidates, also where an edge lacks one.
    """
    space = SPACES[request.param]
    ours = ConvSupernet(space, rngs=nnx.Rngs(0))
    generator = np.random.default_rng(0)
    size = (9, 10) if space.stem == "cifar" else (33, 38)
    images = generator.normal(size=(4, *size, 2)).astype(np.float32)
    mixture = {
        group.name: generator.dirichlet(np.ones(group.shape[1]), group.shape[0]).astype(np.float32)
        for group in space.groups
    }
    return space, ours, to_torch(ours, space.supernet()), images, mixture


def test_scores_are_those_of_pytorch(both):
    """Whatever the progress, which auxiliary skips fade with."""
    space, ours, twin, images, mixture = both
    evaluate = jax.jit(ours.__call__)
    inputs = torch.from_numpy(images).permute(0, 3, 1, 2)
    weights = {name: torch.from_numpy(rows) for name, rows in mixture.items()}
    scores = []
    for progress in (0.0, 0.75):
        twin.progress = progress
        expected = twin(inputs, weights).detach().numpy()
        scores.append(evaluate(images, mixture, progress))
        np.testing.assert_allclose(scores[-1], expected, rtol=1e-5, atol=1e-5)
    assert np.allclose(*scores) == (not space.mixing.auxiliary_skip)


def test_as_many_parameters_as_in_pytorch(both):
    _, ours, twin, _, _ = both
    sizes = [leaf.size for leaf in jax.tree.leaves(nnx.state(ours))]
    assert sum(sizes) == sum(weight.numel() for weight in twin.parameters())


def test_supernets_of_one_space_differ_in_their_weights_alone(both):
    """Their graphs are equal, so that what is compiled for one serves all, and weights of many can be stacked."""
    space, ours, _, _, _ = both
    other = ConvSupernet(space, rngs=nnx.Rngs(1))
    (graph, weights), (other_graph, other_weights) = nnx.split(ours), nnx.split(other)
    assert graph == other_graph
    assert hash(graph) == hash(other_graph)
    kernels = [np.asarray(leaf) for state in (weights, other_weights) for leaf in jax.tree.leaves(state)]
    half = len(kernels) // 2
    assert not any(
        np.array_equal(*pair) for pair in zip(kernels[:half], kernels[half:], strict=True) if pair[0].ndim > 1
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mixing": Mixing(one_path=True)}, r"mixing.one_path: .*nearest valid choice is .*Gumbel\(hard=True\)"),
        ({"mixing": Mixing(skip_dropout=0.3)}, r"mixing.skip_dropout: must be 0 in JAX"),
        (
            {"candidates": ("none", "skip_connect", "noise")},
            r"candidates: 'noise' is unknown;.* Allowed: none, skip_connect\.",
        ),
    ],
)
def test_spaces_that_only_pytorch_has(changes, message):
    with pytest.raises(ValueError, match=message):
        ConvSupernet(ConvCellSpace(**TINY, **changes), rngs=nnx.Rngs(0))


def test_other_kinds_of_spaces_need_a_supernet_of_their_own():
    with pytest.raises(ValueError, match=r"space: must be a ConvCellSpace, got NASBench201Space.*with a `supernet`"):
        inspect.unwrap(check_space)(NASBench201Space())
