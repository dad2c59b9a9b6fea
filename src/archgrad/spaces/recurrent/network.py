"""A derived recurrent language model: the cell of a genotype, as a plain module."""

import torch
from jaxtyping import Int
from torch import Tensor, nn

from archgrad.checks import one_of
from archgrad.genotype import RECURRENT_CELL, Cell, Genotype
from archgrad.ops.dropout import NO_DROPOUT, Dropout, masked
from archgrad.ops.recurrent import ACTIVATIONS
from archgrad.spaces.recurrent.language import LanguageModel, uniform
from archgrad.tasks import LanguageOutput


class RecurrentNetwork(LanguageModel):
    """[c0, h0] = [x, h] W0, s0 = h + σ(c0)(tanh(h0) − h); s_i = s_p + σ(c)(f(h) − s_p) with [c, h] = s_p W_i.

    p and f are the predecessor and the activation of node i in the genotype; h_t is the mean of the cell's outputs.
    `forward(tokens, hidden)` takes tokens [time, batch] int64 and the hidden state [batch, hidden_size], None for
    zeros, and returns scores [time, batch, vocabulary], the next hidden state, the outputs before and after dropout.
    In training x, h, s_p are dropped as `dropout` says, with masks from torch's own generator.

    Reference: arXiv:1806.09055, section 3.2.1 and appendix A.2.2. No batch normalisation, unlike the supernet.

    >>> from archgrad.genotype import DARTS_V2_RECURRENT
    >>> network = RecurrentNetwork(DARTS_V2_RECURRENT, vocabulary_size=10, hidden_size=4)
    >>> scores, hidden, *_ = network(torch.zeros(3, 2, dtype=torch.int64))
    >>> scores.shape, hidden.shape
    (torch.Size([3, 2, 10]), torch.Size([2, 4]))

    Raises:
        ValueError: the genotype is none of a recurrent cell, or sizes that do not agree with tied weights.
    """

    def __init__(
        self,
        genotype: Genotype,
        *,
        vocabulary_size: int,
        hidden_size: int,
        embedding_size: int | None = None,
        tied: bool = True,
        dropout: Dropout = NO_DROPOUT,
    ) -> None:
        cell = recurrent_cell(genotype)
        width = hidden_size if embedding_size is None else embedding_size
        super().__init__(
            vocabulary_size=vocabulary_size, hidden_size=hidden_size, embedding_size=width, tied=tied, dropout=dropout
        )
        self.initial = uniform(width + hidden_size, 2 * hidden_size)
        self.weights = nn.ParameterList(uniform(hidden_size, 2 * hidden_size) for _ in cell.nodes)
        edges = [edge for (edge,) in cell.nodes]
        self.activations = [edge.operation for edge in edges]
        # Nodes by predecessor: what they read is multiplied with all their weights at once.
        self.readers = {
            source: [node for node, edge in enumerate(edges, start=1) if edge.source == source]
            for source in sorted({edge.source for edge in edges})
        }
        self.outputs = cell.outputs

    def forward(self, tokens: Int[Tensor, "time batch"], hidden: Tensor | None = None) -> LanguageOutput:
        """Score the next tokens; the hidden state that is returned is that after the last one."""
        read, hidden, mask = self.begin(tokens, hidden)
        projected = read @ self.initial[: -self.hidden_size]
        joined = {
            source: torch.cat([self.weights[node - 1] for node in nodes], dim=1)
            for source, nodes in self.readers.items()
        }
        outputs = []
        for given in projected.unbind(0):
            hidden = self._step(given, hidden, mask, joined)
            outputs.append(hidden)
        return self.decode(torch.stack(outputs), hidden)

    def _step(self, given: Tensor, hidden: Tensor, mask: Tensor | None, joined: dict[int, Tensor]) -> Tensor:
        """h_t from x_t·W0x and h_{t−1}."""
        product = torch.addmm(given, masked(hidden, mask), self.initial[-self.hidden_size :])
        states = {0: highway(hidden, product, "tanh")}
        for source, nodes in self.readers.items():
            products = (masked(states[source], mask) @ joined[source]).chunk(len(nodes), dim=1)
            for node, product in zip(nodes, products, strict=True):
                states[node] = highway(states[source], product, self.activations[node - 1])
        return torch.stack([states[state] for state in self.outputs]).mean(dim=0)


def highway(state: Tensor, product: Tensor, activation: str) -> Tensor:
    """s + σ(c)(f(h) − s) for [c, h] = `product` (arXiv:1607.03474)."""
    gate, candidate = product.to(state.dtype).chunk(2, dim=1)  # products may be in bfloat16, states lose no digits
    return torch.lerp(state, ACTIVATIONS[activation].function(candidate), gate.sigmoid())


def recurrent_cell(genotype: Genotype) -> Cell:
    """The only cell of a genotype of recurrent cells.

    Raises:
        ValueError: it is a genotype of another space, has another number of cells, inputs, or edges into a node, or an
            activation that is none.
    """
    if genotype.space != RECURRENT_CELL:
        raise ValueError(f"genotype: belongs to the space {genotype.space!r}, needed is one of {RECURRENT_CELL!r}.")
    if len(genotype.cells) != 1:
        raise ValueError(f"genotype: has {len(genotype.cells)} cells, needed is one.")
    (cell,) = genotype.cells
    if cell.inputs != 1 or any(len(edges) != 1 for edges in cell.nodes):
        raise ValueError(f"genotype: cell {cell.name!r} needs one input and one edge into each node.")
    for operation in cell.operations:
        one_of("genotype", operation, ACTIVATIONS)
    return cell
