"""What a search has learnt so far, to save and to go on from."""

import copy
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from archgrad.arch import Logits
from archgrad.loop import Progress
from archgrad.optimization import restore
from archgrad.tasks import Carry


@dataclass
class SearchState:
    """All that a search has learnt: w, α, both optimisers, what the task carries, and the progress.

    `seed` is what the noise of relaxations follows from, together with the step. A state belongs to the searcher that
    made it; `step` changes it in place.
    """

    supernet: nn.Module
    logits: Logits
    weight_optimizer: torch.optim.SGD
    logit_optimizer: torch.optim.Adam
    carries: dict[str, Carry]
    progress: Progress
    seed: int

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
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go back to what `state_dict` returned."""
        self.supernet.load_state_dict(saved["weights"])
        with torch.no_grad():
            for name, tensor in self.logits.items():
                tensor.copy_(saved["logits"][name])
        restore(self.weight_optimizer, saved["weight_optimizer"])
        restore(self.logit_optimizer, saved["logit_optimizer"])
        self.carries = copy.deepcopy(saved["carries"])
        self.progress.load(saved["progress"])
        self.seed = saved.get("seed", self.seed)  # searches saved before relaxations drew noise have none
