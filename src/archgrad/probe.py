"""What a selection may do with a finished search: evaluate its supernet under any mixture, and train it on."""

import copy
from itertools import islice

from archgrad.arch import Mixture
from archgrad.data.stream import Batches
from archgrad.measuring import mean_metrics
from archgrad.spaces.space import Progressing
from archgrad.state import SearchState
from archgrad.supernet_loss import SupernetLoss
from archgrad.weight_step import descend_on


class SearchProbe:
    """A `Probe` of a search: training goes on in a copy of the supernet, and the search's state stays as it is."""

    def __init__(
        self, losses: SupernetLoss, state: SearchState, mixture: Mixture, train: Batches, validation: Batches
    ) -> None:
        self.space = state.space
        self.seed = state.seed
        self.mixture = mixture
        self.decoder = losses.method.decoder
        self._losses = losses
        self._state = _copied(state)
        self._batches = train.batches(state.progress.step)
        # Validation batches that the search has not come to: new draws of the augmentation.
        unseen = validation.batches(losses.settings.epochs * losses.steps_per_epoch)
        self._validation = list(islice(unseen, losses.settings.selection_batches))

    def evaluate(self, mixture: Mixture) -> dict[str, float]:
        """The means of the task's metrics on the validation batches, the same ones in every call."""
        return mean_metrics(self._losses, self._state, mixture, self._validation)

    def tune(self, mixture: Mixture, epochs: float) -> None:
        """Train the weights for so many epochs, or a part of one, under a fixed mixture, at the last learning rate."""
        there = {name: weights.to(self._losses.device) for name, weights in mixture.items()}
        for _ in range(round(epochs * self._losses.steps_per_epoch)):
            descend_on(self._losses, self._state, next(self._batches), there)
            self._state.progress.step += 1


def _copied(state: SearchState) -> SearchState:
    copied = copy.copy(state)
    parts = state.supernet, state.weight_optimizer, state.progress
    copied.supernet, copied.weight_optimizer, copied.progress = copy.deepcopy(parts)  # as one: the optimiser's weights
    if isinstance(copied.supernet, Progressing):
        copied.supernet.progress = 1.0
    return copied
