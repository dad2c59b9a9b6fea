"""What every weight step does with an optimiser, in searches and trainings alike."""

from typing import Any

import torch
from torch import Tensor, nn

from archgrad.loop import Diverged


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def descend(
    optimizer: torch.optim.Optimizer, loss: Tensor, *, network: nn.Module, gradient_clip: float, step: int
) -> None:
    """Take one step down the gradient of the training loss, whose norm is clipped.

    Raises:
        Diverged: the loss or its gradient is not finite; the weights are as they were.
    """
    require_finite(loss, "training loss", step=step)
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(network.parameters(), gradient_clip)
    require_finite(norm, "gradient of the training loss", step=step)
    optimizer.step()


def restore(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Load an optimiser's state; its tensors get the memory format of their parameters, which files do not keep."""
    optimizer.load_state_dict(saved)
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter).copy_(value)


def require_finite(value: Tensor, what: str, *, step: int) -> None:
    """Raise `Diverged` unless all of `value` is finite; `step` counts from 0."""
    if not torch.isfinite(value).all():
        raise Diverged(
            f"the {what} is not finite at step {step + 1}. Try a lower learning rate, a smaller gradient_clip, some "
            f"warmup_epochs, or precision='float32', in a new run; or look for NaN in the images of a data set of your "
            f"own. Checkpoints written before are as they were."
        )
