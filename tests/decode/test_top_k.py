"""The rule of DARTS against a brute-force twin, and what it does at the edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.arch import LogitGroup
from archgrad.decode import top_k
from archgrad.genotype import Edge

CANDIDATES = ("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3")


def group_of(nodes=2, choices=None, candidates=CANDIDATES):
    return LogitGroup.dense("cell", inputs=2, nodes=nodes, candidates=candidates, choices=choices)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def brute_force(mixture, group, keep):
    """Each edge's first option by (strength, column), each node's first edges by (strength, row)."""
    nodes = []
    for target in sorted({target for _, target in group.edges}):
        found = []
        for row, (source, end) in enumerate(group.edges):
            if end != target:
                continue
            options = [
                (-mixture[row, column], column)
                for column, name in enumerate(group.candidates)
                if name != "none" and name in group.choices[row]
            ]
            if options:
                strength, column = min(options)
                found.append((strength, row, Edge(group.candidates[column], source)))
        nodes.append(tuple(edge for _, _, edge in sorted(found)[:keep]))
    return tuple(nodes)


@settings(max_examples=20, deadline=None)
@given(st.data(), st.integers(1, 4), st.integers(1, 3))
def test_brute_force_twin(data, nodes, keep):
    """Few different values, so that there are ties."""
    edges = [(source, target) for target in range(2, 2 + nodes) for source in range(target)]
    narrowed = data.draw(st.lists(st.sampled_from(edges), unique=True, max_size=len(edges) - 1))
    choices = {
        edge: data.draw(st.lists(st.sampled_from(CANDIDATES), min_size=1, unique=True))
        for edge in narrowed
        if edge[0] != 0  # so that every node keeps an edge with an operation
    }
    group = group_of(nodes, choices)
    values = st.lists(st.integers(0, 4), min_size=4, max_size=4)
    mixture = np.array([data.draw(values) for _ in group.edges], dtype=float)
    assert top_k(mixture, group, keep) == brute_force(mixture, group, keep)


def test_none_takes_mass_so_that_raw_logits_rank_differently():
    """Edge 0 has the larger logit, but its mass goes to `none`; ranking α would keep it."""
    logits = np.array([[3.0, 2.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    group = group_of(1)
    assert top_k(softmax(logits), group, 1) == ((Edge("skip_connect", 1),),)
    assert top_k(logits, group, 1) == ((Edge("skip_connect", 0),),)


def test_none_is_never_chosen():
    mixture = np.array([[0.97, 0.01, 0.02, 0.0], [1.0, 0.0, 0.0, 0.0]])
    assert top_k(mixture, group_of(1), 2) == ((Edge("max_pool_3x3", 0), Edge("skip_connect", 1)),)


def test_ties_go_to_the_earlier_edge_and_candidate():
    assert top_k(np.full((5, 4), 0.25), group_of(2), 2) == ((Edge("skip_connect", 0), Edge("skip_connect", 1)),) * 2


def test_published_rule_on_a_mixture_by_hand():
    """Node 3 keeps edges 2 and 0, in this order, by descending strength; edge 1 is the weakest."""
    mixture = np.array(
        [
            [0.1, 0.2, 0.6, 0.1],  # 0 -> 2
            [0.0, 0.1, 0.2, 0.7],  # 1 -> 2
            [0.3, 0.4, 0.2, 0.1],  # 0 -> 3
            [0.7, 0.1, 0.1, 0.1],  # 1 -> 3
            [0.2, 0.1, 0.1, 0.6],  # 2 -> 3
        ]
    )
    assert top_k(mixture, group_of(2), 2) == (
        (Edge("sep_conv_3x3", 1), Edge("max_pool_3x3", 0)),
        (Edge("sep_conv_3x3", 2), Edge("skip_connect", 0)),
    )
    assert top_k(mixture, group_of(2), 1) == ((Edge("sep_conv_3x3", 1),), (Edge("sep_conv_3x3", 2),))


def test_masked_candidates_are_never_chosen():
    group = group_of(1, {(0, 2): ["none"], (1, 2): ["none", "max_pool_3x3"]})
    mixture = np.array([[0.1, 0.9, 0.0, 0.0], [0.1, 0.6, 0.1, 0.2]])
    assert top_k(mixture, group, 2) == ((Edge("max_pool_3x3", 1),),)


def test_more_to_keep_than_there_are_edges():
    assert len(top_k(np.full((2, 4), 0.25), group_of(1), 5)[0]) == 2


@pytest.mark.parametrize(
    ("mixture", "keep", "message"),
    [
        (np.full((2, 4), 0.25), 0, r"keep: must be at least 1, got 0"),
        (np.full((3, 4), 0.25), 1, r"mixture: has shape \(3, 4\), but group 'cell' has \(2, 4\)"),
        (np.full((2, 4), np.nan), 1, r"mixture: group 'cell' contains values that are not finite"),
        (np.full((2, 4), np.inf), 1, r"mixture: group 'cell' contains values that are not finite"),
    ],
)
def test_what_does_not_fit_is_refused(mixture, keep, message):
    with pytest.raises(ValueError, match=message):
        top_k(mixture, group_of(1), keep)


def test_a_node_without_operations_is_refused():
    group = group_of(1, {(0, 2): ["none"], (1, 2): ["none"]})
    with pytest.raises(ValueError, match=r"group 'cell': node 2 has no edge with an operation other than 'none'"):
        top_k(np.full((2, 4), 0.25), group, 1)
