"""The relaxed language model: every edge of its cell holds all candidates, weighted by a mixture (Eq. 2 and 3)."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from archgrad.arch import NONE, Mixture
from archgrad.autodiff import mixed_derivatives_wanted
from archgrad.spaces.recurrent.cell import Engine, Sequence, bundled, per_edge
from archgrad.spaces.recurrent.language import LanguageModel, uniform
from archgrad.spaces.recurrent.through_time import compiled, through_time
from archgrad.tasks import LanguageOutput

if TYPE_CHECKING:
    from archgrad.spaces.recurrent.space import RecurrentCellSpace

CELL = "recurrent"
"""The group of logits, and the cell of genotypes."""

ENGINES: dict[str, Engine] = {
    "through_time": through_time,
    "compiled": compiled,
    "bundled": bundled,
    "per_edge": per_edge,
}
"""Ways to evaluate the same equations; see `archgrad.spaces.recurrent.cell` and `through_time`."""


class RecurrentSupernet(LanguageModel):
    """The supernet of a `RecurrentCellSpace`: `forward((tokens, hidden), mixture)`.

    Shapes: tokens [time, batch] int64, hidden [batch, hidden_size] or None for zeros, mixture["recurrent"]
    [edges, candidates]. Batch normalisation, after every state of the cell, uses the statistics of the batch and has
    neither parameters nor buffers; the derived network has none.

    Reference: arXiv:1806.09055, section 3.1.2 and appendix A.1.2.
    """

    def __init__(self, space: "RecurrentCellSpace") -> None:
        super().__init__(
            vocabulary_size=space.vocabulary_size,
            hidden_size=space.hidden_size,
            embedding_size=space.width,
            tied=space.tied,
            dropout=space.dropout,
        )
        self.engine = ENGINES[space.engine]
        size = space.hidden_size
        self.initial = uniform(space.width + size, 2 * size)
        self.weights = nn.Parameter(torch.stack([uniform(size, 2 * size).detach() for _ in range(space.nodes)]))
        self.columns = [place for place, name in enumerate(space.candidates) if name != NONE]
        self.activations = tuple(name for name in space.candidates if name != NONE)

    def forward(self, inputs: tuple[Tensor, Tensor | None], mixture: Mixture) -> LanguageOutput:
        """Score the next tokens; the hidden state that is returned is that after the last one."""
        tokens, hidden = inputs
        read, hidden, mask = self.begin(tokens, hidden)
        width = read.shape[2]
        projected = read @ self.initial[:width]  # x·W0x is one product for all time steps
        shares = mixture[CELL][:, self.columns]
        sequence = Sequence(projected, hidden, mask, self.initial[width:], self.weights, shares, self.activations)
        outputs = self._engine(projected.device)(sequence)
        return self.decode(outputs, outputs[-1])

    def _engine(self, device: torch.device) -> Engine:
        """The written-out gradient has no derivative of its own, and computes in one precision."""
        written_out = self.engine in (through_time, compiled)
        if written_out and (mixed_derivatives_wanted() or torch.is_autocast_enabled(device.type)):
            return bundled
        return self.engine
