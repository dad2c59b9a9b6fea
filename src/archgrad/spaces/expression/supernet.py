"""The relaxed expression graph: many restarts as one tensor, no loop over them (Eq. 1 of arXiv:1806.09055)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from archgrad.arch import LogitGroup, Mixture
from archgrad.ops.symbolic import Primitive
from archgrad.spaces.expression.mixing import Candidates, Mixed, bounded, power


class Stage(NamedTuple):
    """Nodes that are evaluated at once, since none reads another and their edges from nodes have the same candidates.

    `sources` are the nodes that each reads, [nodes, edges]; nodes count from 0, without the columns.
    """

    nodes: tuple[int, ...]
    sources: tuple[tuple[int, ...], ...]
    mixed: Mixed


class ExpressionSupernet(nn.Module):
    """`forward(inputs [rows, columns], mixture [members, edges, candidates] by group) -> [members, rows]`.

    A node folds its edges in order of their source, as `archgrad.ops.symbolic.Primitive` says of decoded graphs:

        s' = s + Σ_add p_o · o(x) + Σ_mul p_o · (fold_o(s + e, x) − s)        from s = 0
        e' = e · (1 − Σ_{o ≠ none} p_o)                                       from e = 1

    fold_o(s, x) being s · x, s / x, s · x^a or |s|^x. Under a softmax s' = Σ_o p_o · fold_o(s, x), and e, the product
    of the weights of `none`, is how far the node is still without an edge, so that a first factor multiplies into 1. An
    edge from a node that is empty itself counts as `none` as far as that is so. For one-hot mixtures the output is that
    of the decoded graph (`archgrad.spaces.expression.graph.Graph`).

    Parameters: `coefficients` (a, b) [members, edges, candidates, 2], idle where a candidate has none, `outputs` c_j
    [members, outputs], `offset` c₀ [members]. a starts at N(0, 1), divided by a column's scale where it multiplies one,
    b at N(0, ¼), c_j at N(0, 1 / outputs), c₀ at 0.

    Arguments:
        group: the edges, ordered by target, then source; states are the columns, then the nodes.
        primitives: the operations of the group's candidates, in their order.
        outputs: the states that y = c₀ + Σ_j c_j · node_j is made of.
        columns: of the table; a node reads all of them or none.
        members: of the ensemble; they do not see each other.
        scales: typical sizes of the columns, ones unless given.
    """

    def __init__(
        self,
        group: LogitGroup,
        primitives: Sequence[Primitive],
        outputs: Sequence[int],
        *,
        columns: int,
        members: int,
        scales: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.group, self.read = group.name, [state - columns for state in outputs]
        entering = [group.entering(target) for target in dict.fromkeys(target for _, target in group.edges)]
        split = [(min(columns, sum(group.edges[row][0] < columns for row in rows)), rows) for rows in entering]
        self.sizes = [size for first, rows in split for size in (first, len(rows) - first)]
        self.based = [node for node, (first, _) in enumerate(split) if first]
        self.base = Mixed(primitives, _options(group, [row for first, rows in split for row in rows[:first]]))
        self.stages = tuple(_stages(group, primitives, [rows[first:] for first, rows in split], columns))
        draws = torch.randn(members, *group.shape, 2)
        draws[..., 1] *= 0.5
        if scales is not None:
            sizes = torch.tensor([scales[source] if source < columns else 1.0 for source, _ in group.edges])
            slopes = torch.tensor([primitive.coefficients in ("scale", "affine", "shape") for primitive in primitives])
            draws[..., 0] /= torch.where(slopes, sizes[:, None], 1.0).to(draws)
        self.coefficients = nn.Parameter(draws)
        self.outputs = nn.Parameter(torch.randn(members, len(outputs)) / len(outputs) ** 0.5)
        self.offset = nn.Parameter(torch.zeros(members))

    def forward(self, inputs: Float[Tensor, "rows columns"], mixture: Mixture) -> Float[Tensor, "members rows"]:
        weights = mixture[self.group].split(self.sizes, dim=1)
        coefficients = self.coefficients.split(self.sizes, dim=1)
        members = len(self.offset)
        states = [inputs.new_zeros(members, len(inputs))] * (len(self.sizes) // 2)
        empty = [inputs.new_ones(members)] * len(states)

        def evaluate(nodes: Sequence[int], mixed: Mixed, x: Tensor, p: Tensor, ab: Tensor) -> None:
            candidates = Candidates(p.unbind(-1), *(part.unbind(-1) for part in ab.unbind(-1)))
            start = torch.stack([states[node] for node in nodes], 1), torch.stack([empty[node] for node in nodes], 1)
            folded = _fold(mixed, x, candidates, *start)
            for node, state, share in zip(nodes, *(part.unbind(1) for part in folded), strict=True):
                states[node], empty[node] = state, share

        if self.based:
            p, ab = (torch.stack([parts[2 * node] for node in self.based], 1) for parts in (weights, coefficients))
            evaluate(self.based, self.base, inputs.T.contiguous(), p, ab)
        for nodes, sources, mixed in self.stages:
            p, ab = (torch.stack([parts[2 * node + 1] for node in nodes], 1) for parts in (weights, coefficients))
            x, without = (
                torch.stack([torch.stack([of[source] for source in row], 1) for row in sources], 1)
                for of in (states, empty)
            )
            evaluate(nodes, mixed, x, p * (1.0 - without)[..., None], ab)
        outputs = torch.stack([states[node] for node in self.read], 1)
        return (self.outputs[:, :, None] * outputs).sum(dim=1) + self.offset[:, None]


def _fold(mixed: Mixed, x: Tensor, candidates: Candidates, state: Tensor, empty: Tensor) -> tuple[Tensor, Tensor]:
    """(s, e) after the edges of a block, from (s [members, nodes, rows], e [members, nodes]).

    multiply, divide and powered are factors m_o(x), for which the recurrence of `ExpressionSupernet` is linear in s:
    s' = s · (1 + Σ p_o (m_o − 1)) + e · Σ p_o m_o + Σ_add p_o o(x). What stands beside s is evaluated for all edges at
    once.
    """
    absent = (1.0 - mixed.present(candidates)).clamp_min(0.0)
    if mixed.additive:
        return bounded(state + mixed.added(x, candidates, summed=True)), empty * absent.prod(dim=2)
    added, (factors, shares) = mixed.added(x, candidates, summed=False), mixed.multiplied(x, candidates)
    kept = factors - shares + 1.0
    for edge in range(absent.shape[2]):
        base = state + empty[..., None]
        following = state * _at(kept, edge) + empty[..., None] * _at(factors, edge) + _at(added, edge)
        for option in mixed.powers:
            raised = power(base.abs(), x[..., edge, :])
            following = following + candidates.p[option][..., edge, None] * (raised - state)
        state, empty = bounded(following), empty * absent[:, :, edge]
    return state, empty


def _at(values: Tensor | float, edge: int) -> Tensor | float:
    return values[:, :, edge] if isinstance(values, Tensor) else values


def _options(group: LogitGroup, rows: Sequence[int]) -> list[int]:
    """The places of the candidates that any of the edges has."""
    names = {name for row in rows for name in group.choices[row]}
    return [place for place, name in enumerate(group.candidates) if name in names]


def _stages(
    group: LogitGroup, primitives: Sequence[Primitive], rows_by_node: Sequence[Sequence[int]], columns: int
) -> Iterator[Stage]:
    """The nodes with edges from nodes, in order, as many at once as possible."""
    nodes: list[int] = []
    sources: list[tuple[int, ...]] = []
    options: list[int] = []
    for node, rows in enumerate(rows_by_node):
        read = tuple(group.edges[row][0] - columns for row in rows)
        alike = nodes and len(read) == len(sources[0]) and options == _options(group, rows)
        if nodes and (not alike or set(read) & set(nodes)):
            yield Stage(tuple(nodes), tuple(sources), Mixed(primitives, options))
            nodes, sources = [], []
        if read:
            nodes, sources, options = [*nodes, node], [*sources, read], _options(group, rows)
    if nodes:
        yield Stage(tuple(nodes), tuple(sources), Mixed(primitives, options))
