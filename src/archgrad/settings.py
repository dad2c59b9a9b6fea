"""How a search runs: the one home of its defaults."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from archgrad.checks import above, at_least, one_of, share, warmup, whole
from archgrad.data.augment import Augmentation
from archgrad.data.segmentation.augment import DenseAugmentation
from archgrad.devices import PRECISIONS

Settings = TypeVar("Settings")


@dataclass(frozen=True, kw_only=True)
class BilevelSettings:
    """How the two levels of Eq. 4 learn, whatever the data is; the defaults are those of `SearchSettings`.

    Raises:
        ValueError: a value outside what is allowed, named in the message.
    """

    epochs: int = 50  # passes over the part of the data that trains the weights
    warmup_epochs: int = 0  # epochs that train the weights alone before the logits move
    learning_rate: float = 0.025  # of the weights (SGD), at the first epoch
    final_learning_rate: float = 0.001  # where the cosine leads to, epoch by epoch
    momentum: float = 0.9  # share of the last weight step that goes on in the next
    weight_decay: float = 3e-4  # of the weights
    gradient_clip: float = 5.0  # bound on the norm of the weights' gradient
    unrolled_clip: float | None = None  # the same bound within the second-order hypergradient; None bounds nothing
    logits_learning_rate: float = 3e-4  # of the logits (Adam)
    logits_betas: tuple[float, float] = (0.5, 0.999)  # Adam's averaging of the logits' gradient and its square
    logits_weight_decay: float = 1e-3  # of the logits
    logit_updates: int = 1  # steps of the logits on each pair of batches
    weight_updates: int = 1  # steps of the weights on each pair of batches
    logits_scale: float = 1e-3  # standard deviation of the initial logits (zeros in the paper, 1e-3 in its code)
    patience: int = 0  # stop when the validation loss has not fallen for so many epochs; 0 never stops
    precision: str = "float32"  # float32, or bfloat16 for matrix products on GPUs
    eigenvalue_every: int = 0  # measure the dominant eigenvalue of ∇²_α L_val after every so many epochs; 0 never
    gap_batches: int = 0  # validation batches on which the decoded genotype is set beside the supernet; 0 none
    selection_batches: int = 8  # validation batches on which a method's selection compares candidates

    def __post_init__(self) -> None:
        whole("epochs", self.epochs, 1)
        warmup(self.warmup_epochs, self.epochs)
        for name in ("learning_rate", "logits_learning_rate", "gradient_clip"):
            above(name, getattr(self, name), 0)
        if self.unrolled_clip is not None:
            above("unrolled_clip", self.unrolled_clip, 0)
        for name in ("final_learning_rate", "weight_decay", "logits_weight_decay", "logits_scale"):
            at_least(name, getattr(self, name), 0)
        whole("weight_updates", self.weight_updates, 1)
        for name in ("patience", "logit_updates", "eigenvalue_every", "gap_batches"):
            whole(name, getattr(self, name), 0)
        whole("selection_batches", self.selection_batches, 1)
        share("momentum", self.momentum)
        for place, beta in enumerate(self.logits_betas):
            share(f"logits_betas[{place}]", beta)
        one_of("precision", self.precision, PRECISIONS)


@dataclass(frozen=True, kw_only=True)
class SearchSettings(BilevelSettings):
    """How a search on images runs; the defaults are those of arXiv:1806.09055, appendix A.1.1 (CIFAR-10).

    Raises:
        ValueError: a value outside what is allowed, named in the message.
    """

    batch_size: int = 64  # images per step, of each part
    train_fraction: float = 0.5  # share of the data that trains the weights, where no validation data is given
    workers: int = 0  # processes that read the items of a torch data set
    augmentation: Augmentation = field(default_factory=Augmentation)  # what happens to batches of images

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("batch_size", self.batch_size, 2)  # batch statistics need two examples
        whole("workers", self.workers, 0)
        if not 0 < self.train_fraction < 1:
            raise ValueError(f"train_fraction: must lie strictly between 0 and 1, got {self.train_fraction}.")


@dataclass(frozen=True, kw_only=True)
class TextSearchSettings(BilevelSettings):
    """How a search on text runs; the defaults are those of arXiv:1806.09055, appendix A.1.2 (Penn Treebank).

    The learning rate stays what it is over the epochs; in each step it is scaled by the sequence's length.

    Raises:
        ValueError: a value outside what is allowed, named in the message.
    """

    learning_rate: float = 20.0  # of the weights (SGD), at the first epoch
    final_learning_rate: float = 20.0  # where the cosine leads to, epoch by epoch
    momentum: float = 0.0  # share of the last weight step that goes on in the next
    weight_decay: float = 5e-7  # of the weights
    gradient_clip: float = 0.25  # bound on the norm of the weights' gradient
    unrolled_clip: float | None = 0.25  # the same bound within the second-order hypergradient; None bounds nothing
    logits_learning_rate: float = 3e-3  # of the logits (Adam)
    logits_betas: tuple[float, float] = (0.9, 0.999)  # Adam's averaging of the logits' gradient and its square
    batch_size: int = 256  # sequences per step, of each part
    sequence_length: int = 35  # tokens through which gradients go back (BPTT)
    slowness: float = 1e-3  # weight of the penalty on changes of the hidden state from token to token
    activation: float = 0.0  # weight of the penalty on the size of the outputs

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("batch_size", self.batch_size, 2)  # batch statistics need two examples
        whole("sequence_length", self.sequence_length, 1)
        for name in ("slowness", "activation"):
            at_least(name, getattr(self, name), 0)


@dataclass(frozen=True, kw_only=True)
class SegmentationSearchSettings(BilevelSettings):
    """How a search on labelled pixels runs; the defaults are those of arXiv:1901.02985, section 5.1 (Cityscapes).

    Raises:
        ValueError: a value outside what is allowed, named in the message.
    """

    epochs: int = 40  # passes over the part of the data that trains the weights
    warmup_epochs: int = 20  # epochs that train the weights alone: logits that move earlier end in bad optima
    logits_learning_rate: float = 3e-3  # of the logits (Adam)
    logits_betas: tuple[float, float] = (0.9, 0.999)  # Adam's averaging of the logits' gradient and its square
    batch_size: int = 2  # images per step, of each part
    train_fraction: float = 0.5  # share of the images that trains the weights, where no validation data is given
    augmentation: DenseAugmentation = field(
        default_factory=lambda: DenseAugmentation(crop=(321, 321), scale=(1.0, 1.0))
    )  # what happens to batches of images and masks

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("batch_size", self.batch_size, 2)  # batch statistics need two examples
        if not 0 < self.train_fraction < 1:
            raise ValueError(f"train_fraction: must lie strictly between 0 and 1, got {self.train_fraction}.")


def changed(settings: Settings, changes: dict[str, Any]) -> Settings:
    """Replace fields of a settings dataclass.

    Raises:
        ValueError: a name that is no field (the message names the nearest), or a value that is not allowed.
    """
    names = [field.name for field in fields(settings)]  # pyright: ignore[reportArgumentType]
    for name in changes:
        one_of("argument", name, names)
    return replace(settings, **changes)  # pyright: ignore[reportArgumentType]
