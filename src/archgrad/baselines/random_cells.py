"""What a search has to beat: random cells of the same space, of the same size, trained with the same budget."""

import numpy as np
import torch

from archgrad.checks import at_least
from archgrad.genotype import Genotype
from archgrad.seeding import derive
from archgrad.spaces.conv import ConvCellSpace
from archgrad.spaces.space import Space
from archgrad.training import count_parameters


def random_genotypes(space: Space, count: int, *, seed: int) -> list[Genotype]:
    """Draw `count` architectures uniformly: for each node different predecessors, on each an operation but `none`.

    Reference: arXiv:1806.09055, section 3.1 ("random search").

    Raises:
        ValueError: `count` is below 1.
    """
    at_least("count", count, 1)
    drawn = np.random.default_rng(derive(seed, "random genotypes"))
    return [space.random_genotype(drawn) for _ in range(count)]


def random_genotypes_of_size(
    space: ConvCellSpace, count: int, *, like: Genotype, channels: int, layers: int, seed: int
) -> list[Genotype]:
    """Draw random cells whose networks have about as many parameters as that of `like`.

    Of 20 · `count` uniform draws the `count` nearest in size are kept, in the order in which they were drawn: a cell
    that is merely larger or smaller proves nothing.

    Raises:
        ValueError: `count` is below 1, or the genotype does not belong to the space.
    """
    target = _size(space, like, channels, layers)
    drawn = random_genotypes(space, 20 * count, seed=seed)
    distances = [abs(_size(space, genotype, channels, layers) - target) for genotype in drawn]
    nearest = sorted(range(len(drawn)), key=lambda index: distances[index])[:count]
    return [drawn[index] for index in sorted(nearest)]


def _size(space: ConvCellSpace, genotype: Genotype, channels: int, layers: int) -> int:
    with torch.device("meta"):  # counts need no memory and no random numbers
        return count_parameters(space.network(genotype, channels=channels, layers=layers))
