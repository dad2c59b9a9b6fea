"""How a found network is trained from scratch: published settings as data.

`cifar10`, `imagenet` and `digits` return a `Recipe`, `cityscapes`, `camvid` and `scenes` a `DenseRecipe`,
`penn_treebank`, `wikitext2` and `grammar` a `LanguageRecipe`; their keyword arguments are fields of it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from archgrad.checks import above, at_least, one_of, share, warmup, whole
from archgrad.data.augment import CIFAR10_MEAN, CIFAR10_STD, IMAGENET_MEAN, IMAGENET_STD, Augmentation
from archgrad.data.segmentation.augment import DenseAugmentation
from archgrad.devices import PRECISIONS
from archgrad.ops.dropout import Dropout
from archgrad.schedule import cosine, exponential, poly, warmed_up
from archgrad.settings import changed

SCHEDULES = ("cosine", "exponential")
CLASS_WEIGHTS = ("none", "inverse_log", "median_frequency")


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe(ABC):
    """SGD with momentum and what is around it, whatever the images are labelled with; the defaults are `Recipe`'s.

    Raises:
        ValueError: a value outside what is allowed, named in the message.
    """

    epochs: int = 600  # passes over the training data
    batch_size: int = 96  # images per step
    learning_rate: float = 0.025  # at the first epoch after the warm-up
    warmup_epochs: int = 0  # epochs over which the learning rate rises linearly
    momentum: float = 0.9  # share of the last step that goes on in the next
    weight_decay: float = 3e-4  # of all weights
    gradient_clip: float = 5.0  # bound on the gradient's norm
    path_dropout: float = 0.2  # probability to drop a path, reached linearly over the epochs
    average_decay: float = 0.0  # above 0: evaluate and return an exponential moving average of the weights
    precision: str = "float32"  # float32, or bfloat16 for matrix products on GPUs
    evaluate_every: int = 1  # epochs between evaluations on the test set; the last epoch is always evaluated

    def __post_init__(self) -> None:
        for name in ("epochs", "evaluate_every"):
            whole(name, getattr(self, name), 1)
        whole("batch_size", self.batch_size, 2)  # batch statistics need two examples
        for name in ("learning_rate", "gradient_clip"):
            above(name, getattr(self, name), 0)
        at_least("weight_decay", self.weight_decay, 0)
        warmup(self.warmup_epochs, self.epochs)
        for name in ("momentum", "path_dropout", "average_decay"):
            share(name, getattr(self, name))
        one_of("precision", self.precision, PRECISIONS)

    @abstractmethod
    def step_rate(self, step: int, *, steps_per_epoch: int) -> float:
        """The learning rate of a step, counted from 0."""


@dataclass(frozen=True, kw_only=True)
class Recipe(TrainingRecipe):
    """How a network learns to classify images; the defaults are those of CIFAR-10 in arXiv:1806.09055.

    Raises:
        ValueError: a value outside what is allowed, named in the message.
    """

    final_learning_rate: float = 0.0  # where the cosine leads to
    schedule: str = "cosine"  # cosine, or exponential
    decay: float = 0.97  # factor of the exponential schedule, per epoch
    label_smoothing: float = 0.0  # share of the target that goes to all classes alike
    auxiliary_weight: float = 0.4  # of the auxiliary head's loss, where the network has one
    workers: int = 0  # processes that read the items of a torch data set
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(cutout=16))  # of the training images

    def __post_init__(self) -> None:
        super().__post_init__()
        above("decay", self.decay, 0)
        for name in ("final_learning_rate", "auxiliary_weight", "workers"):
            at_least(name, getattr(self, name), 0)
        share("label_smoothing", self.label_smoothing)
        one_of("schedule", self.schedule, SCHEDULES)

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        if self.schedule == "cosine":
            rate = cosine(self.learning_rate, self.final_learning_rate, epoch=epoch, epochs=self.epochs)
        else:
            rate = exponential(self.learning_rate, self.decay, epoch=epoch)
        return warmed_up(rate, epoch=epoch, warmup_epochs=self.warmup_epochs)

    def step_rate(self, step: int, *, steps_per_epoch: int) -> float:
        """The learning rate of a step, counted from 0: that of its epoch."""
        return self.rate(step // steps_per_epoch)


def cifar10(**changes: Any) -> Recipe:
    """CIFAR-10: C=36, L=20, 600 epochs, cutout 16, path dropout 0.2 (arXiv:1806.09055, appendix A.2).

    >>> cifar10(epochs=100).batch_size
    96
    """
    return changed(Recipe(augmentation=Augmentation(cutout=16, mean=CIFAR10_MEAN, std=CIFAR10_STD)), changes)


def imagenet(**changes: Any) -> Recipe:
    """ImageNet, mobile setting: C=48, L=14, 250 epochs, exponential decay, label smoothing (appendix A.3).

    Images come ready-sized from the user's data set with its own random resized crop; the recipe flips and normalises.
    """
    published = Recipe(
        epochs=250,
        batch_size=128,
        learning_rate=0.1,
        schedule="exponential",
        decay=0.97,
        weight_decay=3e-5,
        label_smoothing=0.1,
        path_dropout=0.0,
        augmentation=Augmentation(crop_padding=0, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    )
    return changed(published, changes)


def digits(**changes: Any) -> Recipe:
    """Small grey images such as scikit-learn's 8×8 digits: shifts by a pixel, no flips (they change the digit)."""
    ours = Recipe(
        epochs=15,
        batch_size=64,
        learning_rate=0.05,
        path_dropout=0.0,
        evaluate_every=5,
        augmentation=Augmentation(crop_padding=1, flip=False),
    )
    return changed(ours, changes)


RECIPES = {"cifar10": cifar10, "imagenet": imagenet, "digits": digits}
"""The recipes by name, for the command line."""


@dataclass(frozen=True, kw_only=True)
class DenseRecipe(TrainingRecipe):
    """How a network learns to label pixels; the defaults are those of Cityscapes in arXiv:1901.02985.

    The paper gives learning rate, schedule, crop and number of steps, 1.5 million, which are so many epochs of 2975
    images; batch size, weight decay and augmentation are those of DeepLabv3+ (arXiv:1802.02611), which it starts from.
    The bound on the gradient and the probability of path dropout are ours.

    `class_weights` are of the loss, from the shares of the classes' pixels in the training masks: none, inverse_log, or
    median_frequency (see `archgrad.segmentation.class_weights`).

    Raises:
        ValueError: a value outside what is allowed, named in the message.
    """

    epochs: int = 8109  # passes over the training data
    batch_size: int = 16  # images per step
    evaluation_batch_size: int = 4  # whole images at once, on the test set
    learning_rate: float = 0.05  # at the first step after the warm-up
    power: float = 0.9  # of the share of steps that are left, by which the learning rate falls
    weight_decay: float = 4e-5  # of all weights
    evaluate_every: int = 20  # epochs between evaluations on the test set; the last epoch is always evaluated
    class_weights: str = "none"  # none, inverse_log, or median_frequency
    augmentation: DenseAugmentation = field(default_factory=lambda: DenseAugmentation(crop=(769, 769)))  # of training

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("evaluation_batch_size", self.evaluation_batch_size, 1)
        above("power", self.power, 0)
        one_of("class_weights", self.class_weights, CLASS_WEIGHTS)

    def step_rate(self, step: int, *, steps_per_epoch: int) -> float:
        """The learning rate of a step, counted from 0: it falls, and rises in the warm-up, step by step."""
        rate = poly(self.learning_rate, self.power, step=step, steps=self.epochs * steps_per_epoch)
        return warmed_up(rate, epoch=step, warmup_epochs=self.warmup_epochs * steps_per_epoch)


def cityscapes(**changes: Any) -> DenseRecipe:
    """Cityscapes, from scratch: crops of 769, poly from 0.05, 1.5 million steps (arXiv:1901.02985, section 5.2).

    >>> cityscapes(epochs=100).augmentation.crop
    (769, 769)
    """
    return changed(DenseRecipe(), changes)


def camvid(**changes: Any) -> DenseRecipe:
    """CamVid, from scratch: 367 images of 480×360, in crops of their own size. Settings of ours, for a GPU.

    So few images need the zoom, a colour jitter, and more weight decay.
    """
    ours = DenseRecipe(
        epochs=400,
        batch_size=8,
        warmup_epochs=5,
        weight_decay=5e-4,
        evaluate_every=10,
        augmentation=DenseAugmentation(brightness=0.2, contrast=0.2, saturation=0.2),
    )
    return changed(ours, changes)


def scenes(**changes: Any) -> DenseRecipe:
    """Small networks on the generated scenes of 128×96: minutes on a CPU.

    Poles and pedestrians are few pixels, which no network finds in so short a time unless classes are weighed.
    """
    ours = DenseRecipe(
        epochs=15,
        batch_size=8,
        learning_rate=0.1,
        class_weights="inverse_log",
        path_dropout=0.0,
        evaluate_every=5,
        augmentation=DenseAugmentation(scale=(0.75, 1.5)),
    )
    return changed(ours, changes)


DENSE_RECIPES = {"cityscapes": cityscapes, "camvid": camvid, "scenes": scenes}
"""The recipes of dense prediction by name, for the command line."""


@dataclass(frozen=True, kw_only=True)
class LanguageRecipe:
    """Averaged SGD and everything around it; the defaults are those of Penn Treebank in arXiv:1806.09055.

    Reference: appendix A.2.2 and the public code; averaging, lengths and penalties: arXiv:1708.02182.

    Raises:
        ValueError: a value outside what is allowed, named in the message.
    """

    epochs: int = 3600  # passes over the training text, about
    batch_size: int = 64  # sequences per step
    evaluation_batch_size: int = 10  # rows that the validation and the test text are read in
    sequence_length: int = 35  # tokens through which gradients go back (BPTT)
    vary_length: bool = True  # lengths that vary around it by the step, else it alone
    learning_rate: float = 20.0  # of a sequence of that length; it does not fall
    weight_decay: float = 8e-7  # of all weights
    gradient_clip: float = 0.25  # bound on the gradient's norm
    slowness: float = 1e-3  # weight of the penalty on changes of the outputs from token to token
    activation: float = 0.0  # weight of the penalty on the size of the outputs
    averaging_patience: int = 5  # average once the validation loss is above the best of all before the last so many
    recoveries: int = 5  # returns to the best weights from a loss that is not finite, until one is better, at most
    precision: str = "float32"  # float32, or bfloat16 for matrix products on GPUs
    dropout: Dropout = field(default_factory=lambda: Dropout(rows=0.1))  # where, and with which probability

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "evaluation_batch_size", "sequence_length"):
            whole(name, getattr(self, name), 1)
        for name in ("averaging_patience", "recoveries"):
            whole(name, getattr(self, name), 0)
        for name in ("learning_rate", "gradient_clip"):
            above(name, getattr(self, name), 0)
        for name in ("weight_decay", "slowness", "activation"):
            at_least(name, getattr(self, name), 0)
        one_of("precision", self.precision, PRECISIONS)


def penn_treebank(**changes: Any) -> LanguageRecipe:
    """Penn Treebank: for 850 units, 3600 epochs, weight decay 8e-7 (arXiv:1806.09055, appendix A.2.2).

    >>> penn_treebank(epochs=100).dropout
    Dropout(output=0.75, hidden=0.25, cell_input=0.75, embedding=0.2, rows=0.1)
    """
    return changed(LanguageRecipe(), changes)


def wikitext2(**changes: Any) -> LanguageRecipe:
    """WikiText-2: for 700 units; hidden dropout 0.15 and weight decay 5e-7, the rest as on Penn Treebank (A.2.2)."""
    return changed(LanguageRecipe(weight_decay=5e-7, dropout=Dropout(hidden=0.15, rows=0.1)), changes)


def grammar(**changes: Any) -> LanguageRecipe:
    """Small networks of 32 to 128 units on about 100,000 tokens, as in the embedded corpus: minutes on a CPU."""
    ours = LanguageRecipe(
        epochs=20,
        batch_size=20,
        learning_rate=10.0,
        averaging_patience=2,
        dropout=Dropout(output=0.2, hidden=0.0, cell_input=0.2, embedding=0.0, rows=0.0),
    )
    return changed(ours, changes)


LANGUAGE_RECIPES = {"penn_treebank": penn_treebank, "wikitext2": wikitext2, "grammar": grammar}
"""The recipes of language models by name, for the command line."""
