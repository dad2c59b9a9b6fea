"""The bundled engine is the per-edge engine in another order: equal results, fewer evaluations."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from archgrad.ops import CONV_CANDIDATES, DARTS_CANDIDATES
from archgrad.spaces import ConvCellSpace
from archgrad.spaces.conv import bundle as bundle_module
from archgrad.spaces.conv import engine as engine_module

TINY = {"channels": 2, "layers": 3, "num_classes": 3, "in_channels": 1}


def test_default_cell(assert_engines_agree):
    assert_engines_agree(ConvCellSpace(**TINY))


@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
def test_any_number_of_nodes(assert_engines_agree, nodes):
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
def test_any_candidates(assert_engines_agree, candidates):
    assert_engines_agree(ConvCellSpace(**TINY, nodes=2, candidates=candidates))


@pytest.mark.parametrize("size", [(9, 11), (8, 9), (16, 8)])
def test_odd_and_oblong_images(assert_engines_agree, size):
    assert_engines_agree(ConvCellSpace(**TINY, nodes=2, candidates=DARTS_CANDIDATES), size)


def test_imagenet_stem(assert_engines_agree):
    candidates = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
    assert_engines_agree(ConvCellSpace(**TINY, nodes=2, candidates=candidates, stem="imagenet"), (32, 32))


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_any_choice_of_candidates_per_edge(assert_engines_agree, data):
    """Edges that lack a candidate, share it with some, or have nothing but `none`."""
    candidates = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
    edges = [(source, target) for target in (2, 3) for source in range(target)]
    subsets = st.lists(st.sampled_from(candidates), min_size=1, unique=True)
    choices = {kind: {edge: tuple(data.draw(subsets)) for edge in edges} for kind in ("normal", "reduce")}
    for kind in choices:
        for target in (2, 3):  # a node needs one edge with an operation
            choices[kind][0, target] = (*choices[kind][0, target], "skip_connect")
    assert_engines_agree(ConvCellSpace(**TINY, nodes=2, candidates=candidates, choices=choices))


def test_source_whose_edges_have_none_only(assert_engines_agree):
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
    for module in (engine_module, bundle_module):
        monkeypatch.setattr(module, "relu", lambda state: relus.append(1) or plain(state))
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
