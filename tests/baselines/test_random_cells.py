"""Random cells: uniform, reproducible, and of the size of what they are compared with."""

import pytest

from archgrad.arch import NONE
from archgrad.baselines import random_genotypes, random_genotypes_of_size
from archgrad.genotype import DARTS_V1, DARTS_V2
from archgrad.spaces import ConvCellSpace
from archgrad.training import count_parameters

SPACE = ConvCellSpace(channels=8, layers=4)


def test_equal_seeds_draw_equal_cells_and_others_do_not():
    assert random_genotypes(SPACE, 3, seed=1) == random_genotypes(SPACE, 3, seed=1)
    assert random_genotypes(SPACE, 3, seed=1) != random_genotypes(SPACE, 3, seed=2)
    assert random_genotypes(SPACE, 2, seed=1) == random_genotypes(SPACE, 3, seed=1)[:2]


def test_cells_have_two_different_predecessors_per_node_and_no_none():
    for genotype in random_genotypes(SPACE, 20, seed=0):
        for cell in genotype.cells:
            assert NONE not in cell.operations
            assert all(len({edge.source for edge in edges}) == 2 for edges in cell.nodes)


def test_every_operation_is_drawn_about_equally_often():
    operations = [name for genotype in random_genotypes(SPACE, 100, seed=0) for name in genotype["normal"].operations]
    expected = len(operations) / 7
    for name in SPACE.candidates[1:]:
        assert 0.6 * expected < operations.count(name) < 1.4 * expected


@pytest.mark.parametrize("like", [DARTS_V1, DARTS_V2])
def test_cells_of_a_size_are_nearer_to_it_than_most(like):
    def size(genotype):
        return count_parameters(SPACE.network(genotype))

    target = size(like)
    chosen = [
        abs(size(g) - target) for g in random_genotypes_of_size(SPACE, 3, like=like, channels=8, layers=4, seed=0)
    ]
    drawn = sorted(abs(size(g) - target) for g in random_genotypes(SPACE, 60, seed=0))
    assert sorted(chosen) == drawn[:3]


def test_at_least_one_cell_must_be_asked_for():
    with pytest.raises(ValueError, match="count: must be at least 1, got 0"):
        random_genotypes(SPACE, 0, seed=0)
