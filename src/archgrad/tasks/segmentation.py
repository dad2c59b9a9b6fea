"""Segmentation: cross-entropy and accuracy over the pixels that have a class."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from archgrad.checks import at_least, whole
from archgrad.data.images import to_device
from archgrad.tasks.task import Carry, Evaluation, Forward


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """loss = Σ_i w(y_i) CE(scores_i, y_i) / Σ_i w(y_i) over the pixels i whose label y_i is not `ignore`.

    w are the `class_weights`, one for each class; None weighs all alike. The loss is in float32 or, where the scores
    are, float64. A batch in which no pixel has a class has loss 0 and a zero gradient. Metrics: loss, and the accuracy
    in [0, 1] of the pixels with a class, 0 where there is none; `examples` are images.

    Raises:
        ValueError: `ignore` is no label, or the weights are not numbers from 0 on with one above 0 among them.
    """

    ignore: int = 255
    class_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        whole("ignore", self.ignore, 0)
        if self.class_weights is None:
            return
        for place, weight in enumerate(self.class_weights):
            at_least(f"class_weights[{place}]", weight, 0)
        if not any(self.class_weights):
            raise ValueError(f"class_weights: must have one above 0, got {self.class_weights}.")

    def evaluate(self, forward: Forward, batch: tuple[Tensor, Tensor], carry: Carry) -> Evaluation:
        """Evaluate (images [N, C, H, W], masks [N, H, W]) by scores [N, classes, H, W]; nothing is carried on."""
        images, masks = batch
        scores = forward(images)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        labelled = masks != self.ignore
        table, weights = None, labelled
        if self.class_weights is not None:
            table = to_device(torch.tensor(self.class_weights, dtype=scores.dtype), scores.device)
            weights = table[masks.where(labelled, 0)] * labelled
        loss = F.cross_entropy(scores, masks, table, ignore_index=self.ignore, reduction="sum") / _divisor(weights)
        right = (scores.detach().argmax(dim=1) == masks) & labelled
        metrics = {"loss": loss.detach(), "accuracy": right.sum() / _divisor(labelled)}
        return Evaluation(loss, metrics, len(images), carry)


def _divisor(weights: Tensor) -> Tensor:
    """The sum, or 1 where that is 0: what a mean over nothing is divided by."""
    total = weights.sum()
    return total.where(total > 0, 1)
