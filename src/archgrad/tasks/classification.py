"""Classification: cross-entropy, accuracy, and the auxiliary head's loss."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from archgrad.checks import at_least, within
from archgrad.tasks.task import Carry, Evaluation, Forward


@dataclass(frozen=True, kw_only=True)
class Classification:
    """loss = CE(scores, labels) + `auxiliary_weight` · CE(auxiliary scores, labels), CE with `label_smoothing`.

    A network that returns a pair of scores has an auxiliary head; otherwise the second term is absent. Metrics: loss,
    and accuracy in [0, 1].

    Reference: arXiv:1806.09055, appendix A.2.

    Raises:
        ValueError: the smoothing is not in [0, 1], or the weight is negative.
    """

    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.4

    def __post_init__(self) -> None:
        within("label_smoothing", self.label_smoothing, (0, 1))
        at_least("auxiliary_weight", self.auxiliary_weight, 0)

    def evaluate(self, forward: Forward, batch: tuple[Tensor, Tensor], carry: Carry) -> Evaluation:
        """Evaluate a batch of (images [N, C, H, W], labels [N]); nothing is carried on."""
        images, labels = batch
        outputs = forward(images)
        scores, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = F.cross_entropy(scores.float(), labels, label_smoothing=self.label_smoothing)
        for other in auxiliary:
            extra = F.cross_entropy(other.float(), labels, label_smoothing=self.label_smoothing)
            loss = loss + self.auxiliary_weight * extra
        accuracy = (scores.detach().argmax(dim=1) == labels).float().mean()
        return Evaluation(loss, {"loss": loss.detach(), "accuracy": accuracy}, len(labels), carry)
