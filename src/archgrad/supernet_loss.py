"""The losses of Eq. 4 at any weights and logits: relax, evaluate the supernet, ask the task."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.func import functional_call

from archgrad.arch import Logits, Mixture
from archgrad.autodiff import mixed_derivatives_wanted
from archgrad.data.stream import Batch
from archgrad.devices import autocast, preserved_randomness
from archgrad.hypergrad import Weights
from archgrad.methods import Method
from archgrad.relax import Relaxation, Sampled, Scheduled, Softmax
from archgrad.seeding import derive
from archgrad.settings import BilevelSettings
from archgrad.state import SearchState
from archgrad.tasks import Evaluation, Task


class SupernetLoss:
    """Mixtures and losses of a search's state, by its method and task."""

    def __init__(
        self, method: Method, settings: BilevelSettings, task: Task, *, steps_per_epoch: int, device: torch.device
    ) -> None:
        self.method = method
        self.settings = settings
        self.task = task
        self.steps_per_epoch = steps_per_epoch
        self.device = device

    def epoch(self, state: SearchState, *, stepping: bool) -> int:
        """The running epoch, or between two steps the epoch of the last one."""
        step = state.progress.step if stepping else max(0, state.progress.step - 1)
        return step // self.steps_per_epoch

    def progress(self, state: SearchState, *, stepping: bool) -> float:
        """How far the search is: 0 in its first epoch, 1 in its last."""
        return self.epoch(state, stepping=stepping) / max(1, self.settings.epochs - 1)

    def mixture(self, state: SearchState, logits: Logits | None = None, *, stepping: bool) -> Mixture:
        """p = relax(α), within a step with its noise, otherwise without; α is the state's unless given."""
        progress = self.progress(state, stepping=stepping)
        alpha = state.logits if logits is None else logits
        mixture: Mixture = {}
        for group in state.groups:
            relaxation: Relaxation = self.method.relaxation if group.role == "operations" else Softmax()
            if isinstance(relaxation, Scheduled):
                relaxation = relaxation.during(progress)
            if stepping and isinstance(relaxation, Sampled):
                relaxation = relaxation.at(derive(state.seed, "relaxation", group.name, state.progress.step))
            mixture[group.name] = relaxation(alpha[group.name], state.masks[group.name])
        return mixture

    def evaluate(
        self,
        state: SearchState,
        weights: Weights,
        mixture: Mixture,
        *,
        part: str,
        batch: Batch,
        precision: str | None = None,
    ) -> Evaluation:
        """The loss of a part's batch at any (w, p), in the settings' precision unless given."""

        def forward(inputs: Any) -> Any:
            return functional_call(state.supernet, weights, (inputs, mixture))

        # The product with the second derivative is small beside bfloat16's rounding.
        wanted = "float32" if mixed_derivatives_wanted() else precision
        with autocast(self.device, wanted or self.settings.precision), self.seeded(state, part):
            return self.task.evaluate(forward, batch, state.carries[part])

    @contextmanager
    def seeded(self, state: SearchState, part: str) -> Iterator[None]:
        """Random layers draw the same in all evaluations of a batch, and torch's own generators stay as they were."""
        with preserved_randomness(self.device):
            torch.manual_seed(derive(state.seed, "layers", part, state.progress.step))
            yield
