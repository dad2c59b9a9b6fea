"""What every weight step does with an optimiser, in searches and trainings alike."""

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from archgrad.loop import Diverged

NOTHING: Mapping[str, Tensor] = MappingProxyType({})
"""No regulariser."""


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def descend(
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    *,
    network: nn.Module,
    gradient_clip: float,
    step: int,
    ensemble: bool = False,
    regulariser: Mapping[str, Tensor] = NOTHING,
) -> None:
    """Take one step down the gradient of the training loss, whose norm is clipped.

    `regulariser` is added to the gradient before that, by the parameters' names, for all of them or for none. In an
    `ensemble` the first dimension of every parameter counts members that do not see each other: see `clip_members`.

    Raises:
        Diverged: the loss or its gradient is not finite, that of all members in an ensemble; the weights are as they
            were.
    """
    require_finite(loss, "training loss", step=step)
    optimizer.zero_grad()
    loss.backward()
    if regulariser:
        for name, parameter in network.named_parameters():
            parameter.grad = regulariser[name] if parameter.grad is None else parameter.grad + regulariser[name]
    if ensemble:
        norm = clip_members([parameter.grad for parameter in network.parameters()], gradient_clip)
    else:
        norm = nn.utils.clip_grad_norm_(network.parameters(), gradient_clip)
    require_finite(norm, "gradient of the training loss", step=step)
    optimizer.step()


def clip_members(gradients: Iterable[Tensor | None], limit: float = math.inf) -> Tensor:
    """Clip each member's gradient in an ensemble, in place; return the norm before, that of the largest member.

    Gradients are [members, …], or None where there is none; a member's norm is over all of them. A member whose norm is
    not finite gets a zero gradient; what is returned is not finite only if that is so for all.
    """
    present = [gradient for gradient in gradients if gradient is not None]
    norms = torch.stack([gradient.reshape(len(gradient), -1).norm(dim=1) for gradient in present]).norm(dim=0)
    usable = norms.isfinite()
    scales = (limit / norms).clamp(max=1.0).where(usable, 0.0)
    for gradient in present:
        gradient.nan_to_num_(0.0, 0.0, 0.0).mul_(scales.view(-1, *(1,) * (gradient.ndim - 1)))
    return norms[usable].max() if usable.any() else norms.max()


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
            f"warmup_epochs, or precision='float32', in a new run; or look for NaN in data of your own. "
            f"Checkpoints written before are as they were."
        )
