"""What a task tells the driver: a loss, metrics, and what is carried from batch to batch."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from torch import Tensor

from archgrad.data.stream import Batch

Forward: TypeAlias = Callable[[Any], Any]
"""inputs -> outputs of the network, its weights and mixture already chosen."""

Carry: TypeAlias = Any
"""A tensor, or nested dictionaries of tensors, that the next batch starts from; None where nothing is carried."""


class Evaluation(NamedTuple):
    """A loss with its graph, metrics as means over `examples`, and what the next batch starts from.

    `penalty` is added to the loss in steps of the weights, and left out of hypergradients.
    """

    loss: Tensor
    metrics: dict[str, Tensor]
    examples: int
    carry: Carry = None
    penalty: Tensor | None = None

    @property
    def penalised(self) -> Tensor:
        """What steps of the weights go down on."""
        return self.loss if self.penalty is None else self.loss + self.penalty


@runtime_checkable
class Task(Protocol):
    """A loss and its metrics. The driver hands the carry of one batch to the next one and saves it."""

    def evaluate(self, forward: Forward, batch: Batch, carry: Carry) -> Evaluation: ...


@runtime_checkable
class RateScaling(Protocol):
    """A task whose batches differ in weight: the learning rate is multiplied with `rate_factor(train_batch)`."""

    def rate_factor(self, batch: Batch) -> float: ...
