"""A decoded expression as a plain torch module."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from archgrad.checks import one_of
from archgrad.genotype import Genotype
from archgrad.ops.symbolic import Primitive
from archgrad.spaces.expression.graph import MULTIPLICATIVE, TINY, Graph, Slot
from archgrad.spaces.expression.laws import EXPRESSION

LINKS = ("identity", "sigmoid", "deviance")


class ExpressionNetwork(nn.Module):
    """y = c₀ + Σ_j c_j · node_j for tables [rows, columns] -> [rows]; its parameters are `coefficients`, ones at first.

    Arguments:
        genotype: of the space of expressions; a node folds its edges as `archgrad.ops.symbolic.Primitive` says.
        primitives: those of the user's own by name.
        offset: whether c₀ is a coefficient; without, it is 0.
        columns: which columns of a wider table the graph reads, in its order; the first ones unless given.
        link: "sigmoid" or "deviance" put a sigmoid on y.

    Coefficients are laid out as in `archgrad.spaces.expression.graph.Graph`.

    Raises:
        ValueError: an unknown link, a number of columns that is not the graph's, or see `Graph`.
    """

    def __init__(
        self,
        genotype: Genotype,
        *,
        primitives: Mapping[str, Primitive] | None = None,
        offset: bool = True,
        columns: Sequence[int] | None = None,
        link: str = "identity",
    ) -> None:
        super().__init__()
        graph = Graph(genotype[EXPRESSION], primitives=primitives, offset=offset)
        self.cell, self.nodes, self.outputs, self.has_offset = graph.cell, graph.nodes, graph.outputs, offset
        self.columns = tuple(range(graph.cell.inputs)) if columns is None else tuple(columns)
        if len(self.columns) != graph.cell.inputs:
            raise ValueError(f"columns: the graph reads {graph.cell.inputs}, got {len(self.columns)}.")
        self.link = one_of("link", link, LINKS)
        self.coefficients = nn.Parameter(torch.ones(graph.size))

    def load_coefficients(self, values: Float[Tensor, "size"]) -> None:
        """Set all coefficients."""
        with torch.no_grad():
            self.coefficients.copy_(values)

    def forward(self, table: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows"]:
        states = [table[:, column] for column in self.columns]
        for slots in self.nodes:
            states.append(self._node(slots, states))
        total = self.coefficients[-1] if self.has_offset else torch.zeros_like(table[:, 0])
        for place, state in zip(self.outputs, self.cell.outputs, strict=True):
            total = total + self.coefficients[place] * states[state]
        return total if self.link == "identity" else torch.sigmoid(total)

    def _node(self, slots: Sequence[Slot], states: Sequence[Tensor]) -> Tensor:
        start = float(slots[0].primitive.combination in MULTIPLICATIVE)
        total = torch.full_like(states[slots[0].source], start)
        for slot in slots:
            x = states[slot.source]
            match slot.primitive.combination:
                case "multiply":
                    total = total * x
                case "divide":
                    total = total / x
                case "power":
                    total = total.abs() ** x
                case "powered":
                    total = total * signed_power(x, self.coefficients[slot.start])
                case _:
                    total = total + self._operation(slot, x)
        return total

    def _operation(self, slot: Slot, x: Tensor) -> Any:
        kind = slot.primitive.coefficients
        if kind == "":
            return slot.primitive.function(x)
        a = self.coefficients[slot.start]
        if kind == "constant":
            return a
        u = a * x + self.coefficients[slot.start + 1] if kind == "affine" else a * x
        value = slot.primitive.function(u)
        return value / a if kind == "shape" else value


def signed_power(x: Tensor, exponent: Tensor) -> Tensor:
    """|x|^a, with the sign of x where a is nearest to an odd integer."""
    size = torch.exp(exponent * x.abs().clamp_min(TINY if x.dtype == torch.float64 else 1e-30).log())
    odd = torch.round(exponent.detach()) % 2 == 1
    return torch.where(odd & (x < 0), -size, size)
