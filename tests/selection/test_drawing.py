"""Genotypes drawn from a mixture: their distribution, enumerated."""

import math
from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
import torch

from archgrad.decode import top_k
from archgrad.selection import draw


def probabilities(group, weights, keep):
    """P ∝ Π p over all ways to keep edges of a single node and to choose their operations."""
    allowed = np.where(group.decodable, weights, 0)
    found = {}
    for rows in combinations(range(len(group.edges)), min(keep, len(group.edges))):
        for columns in product(range(len(group.candidates)), repeat=len(rows)):
            chance = math.prod(allowed[row, column] for row, column in zip(rows, columns, strict=True))
            if chance > 0:
                edges = ((group.candidates[o], group.edges[row][0]) for row, o in zip(rows, columns, strict=True))
                found[tuple(edges)] = chance
    total = sum(found.values())
    return {edges: chance / total for edges, chance in found.items()}


@pytest.mark.parametrize(("inputs", "keep", "keeps_none"), [(3, 2, False), (2, 2, True), (3, 1, True)])
def test_draws_follow_the_product_of_their_weights(fakes, inputs, keep, keeps_none):
    candidates = ("none", "skip_connect", "sep_conv_3x3")
    group = fakes.group(inputs=inputs, nodes=1, candidates=candidates, keeps_none=keeps_none)
    space = fakes.Space(group, keep=keep)
    mixture = fakes.mixture(space, seed=3)
    expected = probabilities(group, mixture["cell"].numpy().astype(float), keep)
    generator = np.random.default_rng(0)
    drawn = [draw(space, mixture, generator) for _ in range(400)]
    counts = Counter(genotype["cell"].nodes[0] for genotype, _ in drawn)
    assert set(counts) <= set(expected)
    for edges, chance in expected.items():
        assert abs(counts[edges] / 400 - chance) < 5 * (chance * (1 - chance) / 400) ** 0.5
    # the logarithm says the same up to a constant
    constants = {math.log(expected[genotype["cell"].nodes[0]]) - logarithm for genotype, logarithm in drawn}
    assert max(constants) - min(constants) < 1e-5


def test_top_k_is_the_most_probable(fakes):
    space = fakes.Space(fakes.group(nodes=1, inputs=3, candidates=("none", "skip_connect", "sep_conv_3x3")))
    for seed in range(5):
        mixture = fakes.mixture(space, seed)
        chances = probabilities(space.groups[0], mixture["cell"].numpy().astype(float), 2)
        best = max(chances, key=chances.__getitem__)
        assert set(space.decode(mixture, top_k)["cell"].nodes[0]) == set(best)


def test_equal_weights_give_uniform_edges_and_operations(fakes):
    space = fakes.Space(fakes.group(nodes=2, candidates=("none", "skip_connect", "max_pool_3x3")))
    generator = np.random.default_rng(0)
    drawn = [draw(space, {"cell": torch.full((5, 3), 1 / 3)}, generator)[0]["cell"].nodes[1] for _ in range(300)]
    pairs = Counter(tuple(edge.source for edge in edges) for edges in drawn)
    assert set(pairs) == {(0, 1), (0, 2), (1, 2)}
    assert all(abs(count - 100) < 33 for count in pairs.values())  # four standard deviations
    assert {edge.operation for edges in drawn for edge in edges} == {"skip_connect", "max_pool_3x3"}


def test_candidates_that_an_edge_has_not_are_not_drawn(fakes):
    choices = {(0, 2): ("none",), (1, 2): ("none", "sep_conv_3x3")}
    space = fakes.Space(fakes.group(nodes=1, choices=choices))
    genotype, logarithm = draw(space, {"cell": torch.full((2, 4), 0.25)}, np.random.default_rng(0))
    assert genotype["cell"].nodes == ((("sep_conv_3x3", 1),),)
    assert logarithm == pytest.approx(math.log(0.25))


def test_a_node_without_any_weight_is_refused(fakes):
    space = fakes.Space(fakes.group(nodes=1))
    with pytest.raises(ValueError, match=r"group 'cell': node 2 has no edge with an operation of positive weight"):
        draw(space, {"cell": torch.zeros(2, 4)}, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"mixture: has shape \(1, 4\)"):
        draw(space, {"cell": torch.ones(1, 4)}, np.random.default_rng(0))
