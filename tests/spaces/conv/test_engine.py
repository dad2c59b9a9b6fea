"""The bundled engine is the per-edge engine in another order: equal results, fewer evaluations."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from archgrad.ops import CONV_CANDIDATES, DARTS_CANDIDATES
from archgrad.relax import Softmax
from archgrad.spaces import ConvCellSpace
from archgrad.spaces.conv import engine as engine_module

TINY = {"channels": 2, "layers": 3, "num_classes": 3, "in_channels": 1}


def as_bundled(tensors, bundled, space):
    """Rename what a per-edge supernet calls its parameters: the edges of a bundle are concatenated by target."""
    groups = {group.name: group for group in space.groups}
    renamed = {}
    for name, _ in bundled.named_parameters():
        found = re.fullmatch(r"cells\.(\d+)\.interior\.bundles\.(\d+)\.operations\.(\w+)\.(.+)", name)
        if found is None:
            renamed[name] = tensors[name]
            continue
        layer, source, operation, rest = found.groups()
        group = groups[bundled.cells[int(layer)].kind]
        rows = [row for row in group.leaving(int(source)) if operation in group.choices[row]]
        parts = [tensors[f"cells.{layer}.interior.edges.{row}.{operation}.{rest}"] for row in rows]
        renamed[name] = torch.cat(parts)
    return renamed


def differentiate(supernet, space, images):
    """Outputs, gradients of the weights by name, and gradients of the logits, for fixed logits."""
    torch.manual_seed(1)
    logits = {group.name: torch.randn(group.shape, dtype=torch.float64).requires_grad_() for group in space.groups}
    mixture = {group.name: Softmax()(logits[group.name], group.mask_tensor()) for group in space.groups}
    scores = supernet(images, mixture)
    (scores * torch.randn_like(scores)).sum().backward()
    return scores.detach(), {name: weight.grad for name, weight in supernet.named_parameters()}, logits


def assert_near(actual, expected):
    """Equal to 1e-10 of the largest entry."""
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 1e-10 * expected.abs().max().clamp_min(1e-12)


def assert_engines_agree(space, size=(8, 8)):
    torch.manual_seed(0)
    reference = space.supernet(engine="per_edge").double()
    bundled = space.supernet().double()
    bundled.load_state_dict(as_bundled(reference.state_dict(), bundled, space))
    images = torch.randn(4, space.in_channels, *size, dtype=torch.float64)
    expected_scores, expected_weights, expected_logits = differentiate(reference, space, images)
    scores, weights, logits = differentiate(bundled, space, images)
    assert_near(scores, expected_scores)
    expected = as_bundled(
        {name: torch.zeros(()) if gradient is None else gradient for name, gradient in expected_weights.items()},
        bundled,
        space,
    )
    for name, gradient in expected.items():
        assert_near(weights[name], gradient)
    for name, tensor in expected_logits.items():
        assert_near(logits[name].grad, tensor.grad)


def test_default_cell():
    assert_engines_agree(ConvCellSpace(**TINY))


@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
def test_any_number_of_nodes(nodes):
    candidates = ("none", "avg_pool_3x3", "skip_connect", "dil_conv_3x3")
    assert_engines_agree(ConvCellSpace(**TINY, nodes=nodes, edges_per_node=1, candidates=candidates))


@pytest.mark.parametrize(
    "candidates",
    [
        ("sep_conv_3x3",),
        ("skip_connect",),
        ("none", "max_pool_3x3"),
        ("dil_conv_5x5", "none", "skip_connect"),
        ("sep_conv_7x7", "conv_7x1_1x7"),
    ],
)
def test_any_candidates(candidates):
    assert_engines_agree(ConvCellSpace(**TINY, nodes=2, candidates=candidates))


@pytest.mark.parametrize("size", [(9, 11), (8, 9), (16, 8)])
def test_odd_and_oblong_images(size):
    assert_engines_agree(ConvCellSpace(**TINY, nodes=2, candidates=DARTS_CANDIDATES), size)


def test_imagenet_stem():
    candidates = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
    assert_engines_agree(ConvCellSpace(**TINY, nodes=2, candidates=candidates, stem="imagenet"), (32, 32))


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_any_choice_of_candidates_per_edge(data):
    """Edges that lack a candidate, share it with some, or have nothing but `none`."""
    candidates = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
    edges = [(source, target) for target in (2, 3) for source in range(target)]
    subsets = st.lists(st.sampled_from(candidates), min_size=1, unique=True)
    choices = {kind: {edge: tuple(data.draw(subsets)) for edge in edges} for kind in ("normal", "reduce")}
    for kind in choices:
        for target in (2, 3):  # a node needs one edge with an operation
            choices[kind][0, target] = (*choices[kind][0, target], "skip_connect")
    assert_engines_agree(ConvCellSpace(**TINY, nodes=2, candidates=candidates, choices=choices))


def test_source_whose_edges_have_none_only():
    choices = {kind: {(1, 2): ("none",), (1, 3): ("none",)} for kind in ("normal", "reduce")}
    assert_engines_agree(ConvCellSpace(**TINY, nodes=2, candidates=("none", "skip_connect"), choices=choices))


@pytest.mark.parametrize("engine", ["bundled", "per_edge"])
def test_none_has_no_module(engine):
    supernet = ConvCellSpace(**TINY).supernet(engine=engine)
    names = {name for module in supernet.modules() if isinstance(module, nn.ModuleDict) for name in module}
    assert names == set(DARTS_CANDIDATES) - {"none"}


def test_none_takes_mass_and_contributes_nothing():
    space = ConvCellSpace(**TINY, nodes=1, edges_per_node=1, candidates=("none", "skip_connect"))
    for engine in ("bundled", "per_edge"):
        cell = space.supernet(engine=engine).cells[0]
        states = torch.randn(2, 3 * 2, 8, 8)
        mixture = torch.tensor([[1.0, 0.0], [0.25, 0.75]])
        adapted = cell.adapt(states, states)
        assert torch.allclose(cell(states, states, mixture), 0.75 * adapted[1])


def test_pooling_and_relu_run_once_per_state(monkeypatch):
    """A cell of four nodes has five states with outgoing edges and 14 edges; `none` is on all of them."""
    space = ConvCellSpace(**TINY, candidates=("none", "max_pool_3x3", "sep_conv_3x3"))
    pools, relus = [], []
    plain = engine_module.relu
    monkeypatch.setattr(engine_module, "relu", lambda state: relus.append(1) or plain(state))
    counts = {}
    for engine in ("bundled", "per_edge"):
        supernet = space.supernet(engine=engine)
        for module in supernet.modules():
            if isinstance(module, nn.MaxPool2d):
                module.register_forward_hook(lambda *_: pools.append(1))
        mixture = {group.name: torch.full(group.shape, 1 / 3) for group in space.groups}
        supernet(torch.randn(2, 1, 8, 8), mixture)
        counts[engine] = len(pools), len(relus)
        pools.clear()
        relus.clear()
    assert counts["bundled"] == (3 * 5, 3 * 5)
    assert counts["per_edge"] == (3 * 14, 3 * 14 * 2)


def test_the_other_engine_has_as_many_parameters():
    for candidates in (DARTS_CANDIDATES, CONV_CANDIDATES):
        space = ConvCellSpace(**TINY, candidates=candidates)
        with torch.device("meta"):
            counts = {
                sum(weight.numel() for weight in space.supernet(engine=engine).parameters())
                for engine in ("bundled", "per_edge")
            }
        assert len(counts) == 1
