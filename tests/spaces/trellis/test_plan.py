"""The trellis against its definition, spelled out node by node, and the published counts."""

import collections
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.decode import viterbi
from archgrad.genotype import AUTO_DEEPLAB
from archgrad.relax import Softmax
from archgrad.spaces.trellis import PATHS, Trellis
from archgrad.spaces.trellis.plan import Node, check_path, resampled


def all_paths(layers, levels):
    """Every sequence of levels that begins beside the stem and moves by at most one."""
    paths = [(0,)]
    for _ in range(layers):
        paths = [
            (*path, level) for path in paths for level in (path[-1] - 1, path[-1], path[-1] + 1) if 0 <= level < levels
        ]
    return [path[1:] for path in paths]


def test_published_counts():
    trellis = Trellis(12, 4)
    assert len(trellis.nodes) == 45
    assert len(trellis.edges) == 105
    assert trellis.count_paths() == 75_025
    assert Trellis(11, 4).count_paths() == 28_657
    assert trellis.group.shape == (42, 3)
    assert trellis.group.mask.sum() == 105


def test_layers_reach_the_strides_of_the_paper():
    """Layer 1 has {4, 8}, layer 2 {4, 8, 16}, all later ones all four."""
    levels = collections.defaultdict(set)
    for layer, level in Trellis(12, 4).nodes:
        levels[layer].add(level)
    assert dict(levels) == {1: {0, 1}, 2: {0, 1, 2}, **{layer: {0, 1, 2, 3} for layer in range(3, 13)}}


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_edges_are_the_steps_of_all_paths(layers, levels):
    trellis = Trellis(layers, levels)
    paths = all_paths(layers, levels)
    steps = {
        (Node(layer, before), Node(layer + 1, after))
        for path in paths
        for layer, (before, after) in enumerate(itertools.pairwise((0, *path)))
    }
    assert set(trellis.edges) == steps
    assert len(trellis.edges) == len(steps)
    assert trellis.count_paths() == len(paths)
    assert {node for _, node in steps} == set(trellis.nodes)
    for node in trellis.nodes:
        sources = [arrival.source for arrival in trellis.arrivals(node)]
        assert sorted(sources) == sorted(source for source, target in steps if target == node)
        assert all(trellis.sources[arrival.row] == arrival.source for arrival in trellis.arrivals(node))


def test_nodes_have_two_or_three_ways_out():
    """Those of the finest and of the coarsest stride have two, the stem two, all others three."""
    trellis = Trellis(12, 4)
    for node in trellis.sources:
        expected = 2 if node.level in (0, 3) else 3
        assert len(trellis.moves(node)) == expected


def test_previous_previous_is_at_the_same_stride_or_the_nearest_that_exists():
    trellis = Trellis(12, 4)
    there = {
        -1: {-1},
        0: {0},
        **{layer: {n.level for n in trellis.nodes if n.layer == layer} for layer in range(1, 13)},
    }
    for node in trellis.nodes:
        found = trellis.before(node)
        assert found.layer == node.layer - 2
        assert found.level in there[found.layer]
        assert abs(found.level - node.level) == min(abs(level - node.level) for level in there[found.layer])
    assert trellis.before(Node(3, 3)) == Node(1, 1)
    assert trellis.before(Node(1, 0)) == Node(-1, -1)


def test_outgoing_weights_of_every_node_sum_to_one():
    """Eq. 7: a softmax over a row is one over the edges that leave a node, and over no others."""
    group = Trellis(12, 4).group
    weights = Softmax()(torch.randn(group.shape), group.mask_tensor())
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(42))
    assert not weights[~group.mask_tensor()].any()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_viterbi_on_random_weights_equals_all_paths(layers, levels, seed, count):
    trellis = Trellis(layers, levels)
    group = trellis.group
    drawn = torch.randn(group.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    weights = Softmax()(drawn, group.mask_tensor()).numpy()
    rows = {node: row for row, node in enumerate(trellis.sources)}

    def probability(path):
        steps = enumerate(itertools.pairwise((0, *path)))
        return np.prod([weights[rows[Node(layer, before)], after - before + 1] for layer, (before, after) in steps])

    paths = sorted(all_paths(layers, levels), key=lambda path: (-probability(path), path))
    found = viterbi(trellis.transitions(weights), count)
    assert [path.states for path in found] == paths[:count]
    np.testing.assert_allclose([path.probability for path in found], [probability(path) for path in paths[:count]])


@pytest.mark.parametrize("seed", range(3))
def test_viterbi_on_the_whole_trellis_equals_brute_force(seed):
    """All 75,025 paths, their sums of log β computed at once."""
    trellis = Trellis(12, 4)
    group = trellis.group
    drawn = torch.randn(group.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    matrices = trellis.transitions(Softmax()(drawn, group.mask_tensor()).numpy())
    paths = np.array(all_paths(12, 4))
    assert len(paths) == 75_025
    steps = np.c_[np.zeros(len(paths), int), paths]
    probabilities = np.prod(
        [matrix[steps[:, layer], steps[:, layer + 1]] for layer, matrix in enumerate(matrices)], axis=0
    )
    order = np.argsort(-probabilities)[:10]
    found = viterbi(matrices, 10)
    assert [path.states for path in found] == [tuple(path) for path in paths[order].tolist()]
    np.testing.assert_allclose([path.probability for path in found], probabilities[order])
    assert probabilities.sum() == pytest.approx(1.0)


def test_random_paths_are_uniform():
    """Pearson's statistic over all 12 paths lies below its 99.9 % quantile, 31.3."""
    trellis = Trellis(3, 3)
    paths = all_paths(3, 3)
    drawn = collections.Counter(trellis.random_path(np.random.default_rng(seed)) for seed in range(2600))
    assert set(drawn) == set(paths)
    expected = 2600 / len(paths)
    assert len(paths) == 12
    assert sum((drawn[path] - expected) ** 2 / expected for path in paths) < 31.3


def test_known_paths_lie_in_the_trellis():
    paths = set(all_paths(12, 4))
    assert {*PATHS.values(), AUTO_DEEPLAB.path} <= paths
    for path in PATHS.values():
        check_path(path, levels=4)


@pytest.mark.parametrize(
    ("path", "levels", "message"),
    [
        ((), None, "path: must not be empty"),
        ((0, 2), None, "path: 0 2 leaves the trellis: layer 2 lies at level 2, allowed after level 0 is 0 to 1"),
        ((2, 2), None, "layer 1 lies at level 2, allowed after level 0 is 0 to 1"),
        ((0, -1), None, "layer 2 lies at level -1, allowed after level 0 is 0 to 1"),
        ((1, 2, 3), 3, "layer 3 lies at level 3, allowed after level 2 is 1 to 2"),
    ],
)
def test_paths_that_leave_the_trellis(path, levels, message):
    with pytest.raises(ValueError, match=message):
        check_path(path, levels=levels)


@pytest.mark.parametrize("sizes", [(0, 4), (12, 0)])
def test_bad_sizes(sizes):
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        Trellis(*sizes)


@pytest.mark.parametrize("path", PATHS.values())
@pytest.mark.parametrize("layers", [1, 2, 5, 12, 20])
@pytest.mark.parametrize("levels", [1, 2, 4])
def test_resampled_paths_lie_in_the_trellis(path, layers, levels):
    found = resampled(path, layers=layers, levels=levels)
    assert len(found) == layers
    check_path(found, levels=levels)
    if (layers, levels) == (12, 4):
        assert found == path
