"""What an epoch's record says beside the means of the metrics: the mixture, and diagnostics of the search."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor, nn

from archgrad import diagnostics
from archgrad.arch import Logits, Mixture
from archgrad.data.stream import Batch, Batches
from archgrad.hypergrad import dominant_eigenvalue
from archgrad.hypergrad.problem import detached
from archgrad.loop import Progress, Record
from archgrad.seeding import derive
from archgrad.spaces.space import Encodable
from archgrad.state import SearchState
from archgrad.supernet_loss import SupernetLoss


class Measuring:
    """Diagnostics of a search at the ends of its epochs, on validation batches that follow from the epoch alone."""

    def __init__(self, losses: SupernetLoss, validation: Batches) -> None:
        self.losses = losses
        self.validation = validation

    def describe(self, state: SearchState, mixture: Mixture) -> Record:
        """The learning rate, the mixture as nested lists (the mean over the members of an ensemble), and diagnostics.

        Of single searches also the entropy of every edge and the skips of the decoded cells, and, as the settings or
        the method's stopping rules ask, the dominant eigenvalue and the gap between supernet and decoded genotype.
        """
        mean = {name: weights.reshape(-1, *weights.shape[-2:]).mean(dim=0).cpu() for name, weights in mixture.items()}
        record: Record = {
            "learning_rate": state.weight_optimizer.param_groups[0]["lr"],
            "mixture": {name: weights.tolist() for name, weights in mean.items()},
        }
        if state.space.ensemble:
            return record
        genotype = state.space.decode(mixture, self.losses.method.decoder)
        if self.losses.method.stages:
            record["stage"] = state.stage + 1
        record["entropy"] = diagnostics.entropies(mean, state.groups)
        record["skips"] = diagnostics.skips(genotype)
        epoch = self.losses.epoch(state, stepping=False)
        if self._eigenvalue_due(epoch):
            record["eigenvalue"] = self._eigenvalue(state, epoch)
        if self.losses.settings.gap_batches and isinstance(state.space, Encodable):
            decoded = state.space.encode(genotype)
            record |= diagnostics.gap(lambda weights: self.evaluate(state, weights, epoch), mixture, decoded)
        return record

    def _eigenvalue_due(self, epoch: int) -> bool:
        every = self.losses.settings.eigenvalue_every
        if any("eigenvalue" in rule.needs for rule in self.losses.method.stopping):
            return True
        return bool(every) and (epoch + 1) % every == 0

    def _eigenvalue(self, state: SearchState, epoch: int) -> float:
        """The dominant eigenvalue of ∇²_α L_val on one validation batch."""
        batch = next(iter(self.validation.batches(epoch * self.validation.batches_per_epoch)))
        weights = detached(dict(state.supernet.named_parameters()))

        def loss(logits: Logits) -> Tensor:
            mixture = self.losses.mixture(state, logits, stepping=False)
            return self.losses.evaluate(state, weights, mixture, part="validation", batch=batch).loss

        return dominant_eigenvalue(loss, detached(state.logits), seed=derive(state.seed, "eigenvalue", epoch))

    def evaluate(self, state: SearchState, mixture: Mixture, epoch: int) -> dict[str, float]:
        """Loss and accuracy of the supernet under a mixture, on `gap_batches` validation batches or fewer."""
        start = epoch * self.validation.batches_per_epoch
        count = min(self.losses.settings.gap_batches, self.validation.batches_per_epoch)
        batches = islice(self.validation.batches(start), count)
        return mean_metrics(self.losses, state, mixture, batches)


def mean_metrics(
    losses: SupernetLoss, state: SearchState, mixture: Mixture, batches: Iterable[Batch]
) -> dict[str, float]:
    """The task's metrics of the supernet under a mixture, as means over the examples of the batches."""
    device = losses.device
    there = {name: weights.to(device) for name, weights in mixture.items()}
    weights = detached(dict(state.supernet.named_parameters()))
    progress = Progress()
    for batch in batches:
        with torch.no_grad(), _evaluating(state.supernet):
            evaluation = losses.evaluate(state, weights, there, part="validation", batch=batch)
        progress.add({name: float(value) for name, value in evaluation.metrics.items()}, evaluation.examples)
    return progress.means()


@contextmanager
def _evaluating(supernet: nn.Module) -> Iterator[None]:
    """Nothing is dropped at random within the context; batch statistics are what they always are."""
    training = supernet.training
    supernet.eval()
    try:
        yield
    finally:
        supernet.train(training)
