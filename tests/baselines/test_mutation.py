"""Mutants: genotypes of the same space, one edge away, and all of them within reach."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.baselines import mutate
from archgrad.genotype import DARTS_V2
from archgrad.spaces import ConvCellSpace, RecurrentCellSpace, TrellisSpace

NARROW = ConvCellSpace(
    candidates=("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3"),
    nodes=3,
    choices={
        "normal": {(0, 2): ("skip_connect",), (2, 3): ("none",), (1, 4): ("none", "max_pool_3x3")},
        "reduce": {(0, 3): ("sep_conv_3x3",)},
    },
)
SPACES = (
    ConvCellSpace(),
    ConvCellSpace(nodes=2, edges_per_node=1),
    ConvCellSpace(nodes=5, edges_per_node=3),
    NARROW,
    RecurrentCellSpace(vocabulary_size=10),
)


def edges_by_node(genotype):
    return [Counter(edges) for cell in genotype.cells for edges in cell.nodes]


def check_belongs(space, genotype):
    for cell, group in zip(genotype.cells, space.groups, strict=True):
        assert cell.name == group.name
        for state, edges in enumerate(cell.nodes, start=cell.inputs):
            assert len({edge.source for edge in edges}) == len(edges)
            assert [edge.source for edge in edges] == sorted(edge.source for edge in edges)
            for edge in edges:
                row = group.edges.index((edge.source, state))
                assert group.decodable[row, group.candidates.index(edge.operation)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, len(SPACES)))
def test_a_mutant_belongs_to_the_space_and_differs_in_one_edge(benchmark_space, seed, number):
    space = (*SPACES, benchmark_space)[number]
    generator = np.random.default_rng(seed)
    parent = space.random_genotype(generator)
    child = mutate(space, parent, generator)
    check_belongs(space, child)
    lost = [before - after for before, after in zip(edges_by_node(parent), edges_by_node(child), strict=True)]
    won = [after - before for before, after in zip(edges_by_node(parent), edges_by_node(child), strict=True)]
    assert sum(map(Counter.total, lost)) == sum(map(Counter.total, won)) == 1
    assert [edge.outputs for edge in parent.cells] == [edge.outputs for edge in child.cells]


def test_all_genotypes_one_edge_away_are_reached_and_no_others(benchmark_space):
    generator = np.random.default_rng(0)
    parent = benchmark_space.random_genotype(generator)
    mutants = Counter(mutate(benchmark_space, parent, generator) for _ in range(1200))
    assert len(mutants) == 6 * 4  # each edge may have one of the four other operations
    # node, then edge, then operation: an edge into the first node is changed in a third of the cases
    changed = Counter()
    for mutant, count in mutants.items():
        nodes = zip(parent["cell"].nodes, mutant["cell"].nodes, strict=True)
        changed[next(number for number, (old, new) in enumerate(nodes) if old != new)] += count
    assert all(abs(changed[node] - 400) < 4 * (1200 * 2 / 9) ** 0.5 for node in range(3))


def test_operation_and_source_change_equally_often_and_the_operation_stays_where_it_can():
    space = ConvCellSpace(nodes=4)
    generator = np.random.default_rng(1)
    kinds = Counter()
    for _ in range(200):
        parent = space.random_genotype(generator)
        nodes = zip(edges_by_node(parent), edges_by_node(mutate(space, parent, generator)), strict=True)
        (old, new) = next((before - after, after - before) for before, after in nodes if before != after)
        (operation, source), (other, elsewhere) = next(iter(old)), next(iter(new))
        assert (operation == other) != (source == elsewhere)
        kinds[source == elsewhere] += 1
    # the first of four nodes reads both states that there are, and so has mutations of operations alone
    share = 1 / 4 + 3 / 4 * 1 / 2
    assert abs(kinds[True] - 200 * share) < 4 * (200 * share * (1 - share)) ** 0.5


def test_a_new_source_without_the_operation_draws_one_that_it_has():
    choices = {"normal": {(0, 2): ("skip_connect",), (1, 2): ("sep_conv_3x3",)}}
    space = ConvCellSpace(candidates=("skip_connect", "sep_conv_3x3"), nodes=1, edges_per_node=1, choices=choices)
    generator = np.random.default_rng(0)
    changed = set()
    for _ in range(20):
        parent = space.random_genotype(generator)
        before, after = (genotype["normal"].nodes[0] for genotype in (parent, mutate(space, parent, generator)))
        changed |= {(*before, *after)} if before != after else set()
    first, second = ("skip_connect", 0), ("sep_conv_3x3", 1)
    assert changed == {(first, second), (second, first)}


def test_what_cannot_be_mutated_is_refused(single_genotype_space):
    generator = np.random.default_rng(0)
    only = single_genotype_space.random_genotype(generator)
    with pytest.raises(ValueError, match=r"space 'benchmark': has no genotype that differs from this one"):
        mutate(single_genotype_space, only, generator)
    trellis = TrellisSpace()
    with pytest.raises(ValueError, match=r"space 'trellis': mutations are defined for cells .* random_search"):
        mutate(trellis, trellis.random_genotype(generator), generator)
    with pytest.raises(ValueError, match=r"space 'conv_cell': mutations are defined for cells"):
        mutate(ConvCellSpace(nodes=3), DARTS_V2, generator)
    with pytest.raises(ValueError, match=r"genotype: cell 'normal' has sep_conv_3x3\(0\) into state 2, which"):
        mutate(ConvCellSpace(candidates=("skip_connect", "max_pool_3x3")), DARTS_V2, generator)
    with pytest.raises(ValueError, match=r"mutations are defined for cells"):
        mutate(ConvCellSpace(), replace(DARTS_V2, path=(0, 1)), generator)
