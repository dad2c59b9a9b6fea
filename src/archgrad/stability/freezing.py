"""OLES: an operation stops learning once its gradients on training and validation data part (NeurIPS 2023).

Weights learn on the training data and logits on the validation data. An operation with weights that overfits helps the
training loss and hurts the validation loss, so that the logits turn to skip connections, which cannot overfit. Freezing
its weights in time keeps it as useful as it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import Parameter

from archgrad.arch import OperationKey, Slice
from archgrad.checks import whole, within

SUMS, COUNTS, FROZEN = "freezing.sums", "freezing.counts", "freezing.frozen"
"""The tensors of the memory, each with one entry for each operation."""


@dataclass(frozen=True, kw_only=True)
class Freezing:
    """Freeze operation o for the rest of the search once its gradient-matching score is below `threshold`.

        GM(o) = 1/M · Σ_m cos(∇_{w_o} L_train, ∇_{w_o} L_val)   over M = `window` steps

    Windows follow each other and do not overlap. w_o are all weights of an operation on an edge of a cell as one
    vector. A step on which one of the gradients is zero or not finite is not counted, and operations without weights
    never freeze.

    What is remembered between steps is a dictionary of tensors, made by `start` and changed by `observe`; save it, and
    a resumed search freezes what one in one go does.

    Reference: Jiang et al., Operation-Level Early Stopping for Robustifying Differentiable NAS, NeurIPS 2023. Defaults
    and windows are those of the public code, which differs: it takes cosines along the first dimension of each weight
    and averages them, divides the sum of 21 scores by 20, compares the training gradient of a step with the validation
    gradient of the next, and leaves out the strided skip connection, which has weights and counts here.

    Raises:
        ValueError: `threshold` lies outside [−1, 1], or `window` is below 1.
    """

    threshold: float = 0.4
    window: int = 20

    citation: ClassVar[str] = "jiang2023operation"

    def __post_init__(self) -> None:
        within("threshold", self.threshold, (-1.0, 1.0))
        whole("window", self.window, 1)

    def start(self, operations: Mapping[OperationKey, tuple[Slice, ...]]) -> dict[str, Tensor]:
        """The memory before the first step: nothing seen, nothing frozen; [operations] in their order."""
        size = len(operations)
        return {
            SUMS: torch.zeros(size, dtype=torch.float64),
            COUNTS: torch.zeros(size, dtype=torch.int64),
            FROZEN: torch.zeros(size, dtype=torch.bool),
        }

    def observe(
        self,
        memory: dict[str, Tensor],
        operations: Mapping[OperationKey, tuple[Slice, ...]],
        train: dict[str, Tensor],
        validation: dict[str, Tensor],
    ) -> None:
        """Take one step's gradients by w, by parameter name, into the memory, and freeze what has come to that."""
        learning = [index for index, slices in enumerate(operations.values()) if slices]
        if not learning:
            return
        frozen = memory[FROZEN]
        owners = torch.tensor(learning, device=frozen.device)
        scores = torch.full_like(memory[SUMS], torch.nan)
        scores[owners] = _cosines([slices for slices in operations.values() if slices], train, validation).to(scores)
        counted = scores.isfinite() & ~frozen
        sums = memory[SUMS] + scores.where(counted, 0.0)
        counts = memory[COUNTS] + counted
        full = counts >= self.window
        memory[FROZEN] = frozen | (full & (sums < self.threshold * counts))
        memory[SUMS] = sums.where(~full, 0.0)
        memory[COUNTS] = counts.where(~full, 0)

    def frozen(self, memory: dict[str, Tensor], operations: Mapping[OperationKey, tuple[Slice, ...]]) -> list[Slice]:
        """The weights of all frozen operations, by parameter and row; neighbouring rows are one slice."""
        flags = memory[FROZEN].tolist()
        rows = [row for slices, held in zip(operations.values(), flags, strict=True) if held for row in slices]
        merged: list[Slice] = []
        for row in sorted(rows):
            if merged and merged[-1].parameter == row.parameter and merged[-1].stop == row.start:
                row = merged.pop()._replace(stop=row.stop)
            merged.append(row)
        return merged


def _cosines(
    operations: Sequence[tuple[Slice, ...]], train: Mapping[str, Tensor], validation: Mapping[str, Tensor]
) -> Tensor:
    """cos(g, g') of each operation's gradients; NaN where one of them is zero."""
    row_sizes = {name: gradient[:1].numel() for name, gradient in train.items()}
    lengths = [sum((stop - start) * row_sizes[name] for name, start, stop in slices) for slices in operations]
    g, h = (
        torch.cat([gradients[name][start:stop].flatten() for slices in operations for name, start, stop in slices])
        for gradients in (train, validation)
    )
    sizes = torch.tensor(lengths, device=g.device)
    of_both, of_first, of_second = (
        torch.segment_reduce(product, "sum", lengths=sizes, unsafe=True) for product in (g * h, g * g, h * h)
    )
    # Two roots, since the product of two squares underflows where gradients are small.
    return of_both / (of_first.sqrt() * of_second.sqrt())


@contextmanager
def held(parameters: dict[str, Parameter], slices: Sequence[Slice]) -> Iterator[None]:
    """What lies in the slices is after the block as it was before, whatever happened: momentum and decay included.

    Within the block their gradients are zero, so that they have no part in the norm that is clipped, as if they did
    not learn.

    >>> weight = Parameter(torch.ones(3))
    >>> with held({"weight": weight}, [Slice("weight", 0, 1)]), torch.no_grad():
    ...     _ = weight.mul_(2)
    >>> weight.tolist()
    [1.0, 2.0, 2.0]
    """
    of_parameter: dict[str, list[Slice]] = {}
    for row in slices:
        of_parameter.setdefault(row.parameter, []).append(row)
    kept = [(row, parameters[row.parameter][row.start : row.stop].detach().clone()) for row in slices]
    hooks = [
        parameters[name].register_hook(lambda gradient, rows=rows: _without(gradient, rows))
        for name, rows in of_parameter.items()
        if parameters[name].requires_grad
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        with torch.no_grad():
            for row, values in kept:
                parameters[row.parameter][row.start : row.stop] = values


def _without(gradient: Tensor, rows: Sequence[Slice]) -> Tensor:
    gradient = gradient.clone()
    for row in rows:
        gradient[row.start : row.stop] = 0
    return gradient
