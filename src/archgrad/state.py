"""What a search has learnt so far, to save and to go on from."""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from archgrad.arch import LogitGroup, Logits, OperationKey, Slice
from archgrad.loop import Progress
from archgrad.optimization import restore
from archgrad.spaces.space import Space
from archgrad.stages import Choices
from archgrad.tasks import Carry


@dataclass
class SearchState:
    """All that a search has learnt: w, α, both optimisers, what the task carries, the progress, what parts remember.

    `seed` is what the noise of relaxations follows from, together with the step. `stage` and `choices` say which stage
    of a progressive search this is and which candidates are left; `space`, `groups`, `masks` and `operations` follow.
    `memory` are tensors by name. A state belongs to the searcher that made it; `step` changes it in place.
    """

    space: Space
    supernet: nn.Module
    logits: Logits
    weight_optimizer: torch.optim.SGD
    logit_optimizer: torch.optim.Adam
    carries: dict[str, Carry]
    progress: Progress
    seed: int
    enter: Callable[["SearchState", int, Choices], None] = field(repr=False)
    groups: tuple[LogitGroup, ...] = field(default=(), repr=False)
    masks: dict[str, Tensor] = field(default_factory=dict, repr=False)
    operations: dict[OperationKey, tuple[Slice, ...]] = field(default_factory=dict, repr=False)
    memory: dict[str, Tensor] = field(default_factory=dict, repr=False)
    stage: int = 0
    choices: Choices = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """Everything that is needed to go on exactly here, as tensors and plain values."""
        return {
            "weights": self.supernet.state_dict(),
            "logits": dict(self.logits),
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "logit_optimizer": self.logit_optimizer.state_dict(),
            "carries": self.carries,
            "progress": asdict(self.progress),
            "seed": self.seed,
            "stage": self.stage,
            "choices": self.choices,
            "memory": self.memory,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go back to what `state_dict` returned; the supernet becomes that of the saved stage."""
        # Searches saved before there were stages, memories and noise have none.
        stage, choices = saved.get("stage", 0), saved.get("choices", {})
        if (stage, choices) != (self.stage, self.choices):
            self.enter(self, stage, choices)
        self.supernet.load_state_dict(saved["weights"])
        with torch.no_grad():
            for name, tensor in self.logits.items():
                tensor.copy_(saved["logits"][name])
        restore(self.weight_optimizer, saved["weight_optimizer"])
        restore(self.logit_optimizer, saved["logit_optimizer"])
        self.carries = copy.deepcopy(saved["carries"])
        self.progress.load(saved["progress"])
        self.seed = saved.get("seed", self.seed)
        device = next(iter(self.logits.values())).device
        self.memory = {name: tensor.to(device, copy=True) for name, tensor in saved.get("memory", {}).items()}
