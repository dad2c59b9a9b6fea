"""Genotypes drawn from a mixture."""

from itertools import combinations

import numpy as np

from archgrad.arch import LogitGroup, Mixture
from archgrad.checks import at_least
from archgrad.decode.edges import check_mixture
from archgrad.genotype import Edge, Genotype
from archgrad.spaces.space import Space


def draw(space: Space, mixture: Mixture, generator: np.random.Generator) -> tuple[Genotype, float]:
    """Draw a genotype of the space from a mixture p, and return it with log Π_e p_{e, o_e} over its edges.

    P(genotype) ∝ Π_e p_{e, o_e} over all genotypes whose nodes keep as many different incoming edges as the space says,
    each with an operation other than `none` (which takes part where it is a choice like any other). So the most
    probable genotype is the one of `decode.top_k`, and where all operations of all edges have the same weight the draws
    are distributed as those of `decode.uniform`.

    Where nodes keep all their edges, as in SNAS (arXiv:1812.09926, section 2.1) and NAS-Bench-201, this is one draw of
    each edge's operation by its row of p. Weights with which a space multiplies p before it decodes count too.

    Raises:
        ValueError: the mixture has another shape than its group or is not finite, or a node has no edge with an
            operation of positive weight.
    """
    logarithms: list[float] = []

    def rule(weights: np.ndarray, group: LogitGroup, keep: int) -> tuple[tuple[Edge, ...], ...]:
        nodes, logarithm = _draw_nodes(generator, weights, group, keep)
        logarithms.append(logarithm)
        return nodes

    return space.decode(mixture, rule), sum(logarithms)


def _draw_nodes(
    generator: np.random.Generator, weights: np.ndarray, group: LogitGroup, keep: int
) -> tuple[tuple[tuple[Edge, ...], ...], float]:
    at_least("keep", keep, 1)
    check_mixture(weights, group)
    allowed = np.where(group.decodable, weights, 0.0).astype(np.float64)
    strengths = allowed.sum(axis=1)
    nodes, logarithm = [], 0.0
    for target in dict.fromkeys(target for _, target in group.edges):
        rows = [row for row in group.entering(target) if strengths[row] > 0]
        if not rows:
            raise ValueError(f"group {group.name!r}: node {target} has no edge with an operation of positive weight.")
        sets = list(combinations(rows, min(keep, len(rows))))
        chances = strengths[np.array(sets)].prod(axis=1)
        kept = sets[int(generator.choice(len(sets), p=chances / chances.sum()))]
        columns = [int(generator.choice(len(row), p=row / row.sum())) for row in allowed[list(kept)]]
        logarithm += float(np.log(allowed[list(kept), columns]).sum())
        nodes.append(
            tuple(Edge(group.candidates[o], group.edges[row][0]) for row, o in zip(kept, columns, strict=True))
        )
    return tuple(nodes), logarithm
