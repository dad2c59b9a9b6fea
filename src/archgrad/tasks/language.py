"""Language modelling: the next token's cross-entropy, the hidden state that is carried on, and two penalties."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from archgrad.checks import at_least
from archgrad.tasks.task import Batch, Carry, Evaluation, Forward


class LanguageOutput(NamedTuple):
    """What a language model returns.

    `scores` of the next token [time, batch, vocabulary], the `hidden` state that the next sequence starts from, the
    cell's `outputs` [time, batch, hidden] before dropout, and as they were `dropped`.
    """

    scores: Tensor
    hidden: Tensor
    outputs: Tensor
    dropped: Tensor


@dataclass(frozen=True, kw_only=True)
class LanguageModelling:
    """loss = CE(scores, next tokens), with the penalty `activation` · ⟨d²⟩ + `slowness` · ⟨(h_t − h_{t−1})²⟩ beside it.

    h are the cell's outputs, d the same after dropout, ⟨·⟩ means over everything (arXiv:1708.01009). The penalty is for
    steps of the weights alone: hypergradients are of the bare loss, as in the public code of arXiv:1806.09055.

    The hidden state of one batch, detached, is what the next one starts from. Where a batch is read at a length other
    than `sequence_length`, the learning rate is scaled by length / `sequence_length`; None scales nothing. Metric: the
    loss in nats per token; perplexity is its exponential.

    Raises:
        ValueError: a penalty is negative, or the length below 1.
    """

    slowness: float = 1e-3
    activation: float = 0.0
    sequence_length: int | None = None

    def __post_init__(self) -> None:
        at_least("slowness", self.slowness, 0)
        at_least("activation", self.activation, 0)
        if self.sequence_length is not None:
            at_least("sequence_length", self.sequence_length, 1)

    def evaluate(self, forward: Forward, batch: Batch, carry: Carry) -> Evaluation:
        """Evaluate (tokens [time, batch], next tokens [time, batch]); `forward` gets (tokens, carry)."""
        tokens, targets = batch
        output: LanguageOutput = forward((tokens, carry))
        scores = output.scores.flatten(0, 1)
        loss = F.cross_entropy(scores.to(torch.promote_types(scores.dtype, torch.float32)), targets.flatten())
        penalty = None
        if self.activation:
            penalty = self.activation * output.dropped.square().mean()
        if self.slowness and len(output.outputs) > 1:
            slowness = self.slowness * output.outputs.diff(dim=0).square().mean()
            penalty = slowness if penalty is None else penalty + slowness
        return Evaluation(loss, {"loss": loss.detach()}, targets.numel(), output.hidden.detach(), penalty)

    def rate_factor(self, batch: Batch) -> float:
        """What the learning rate of a step on this batch is multiplied with."""
        return 1.0 if self.sequence_length is None else len(batch[0]) / self.sequence_length
