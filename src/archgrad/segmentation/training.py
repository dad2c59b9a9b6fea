"""`train`: a network that labels pixels from scratch by a recipe, evaluated on whole images of a test set."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from archgrad.checks import one_of
from archgrad.data.segmentation.augment import DenseAugmentation
from archgrad.data.segmentation.labelled import SegmentationData
from archgrad.data.segmentation.stream import SegmentationStream
from archgrad.devices import resolve_device
from archgrad.loop import Callback, Record, check_callbacks
from archgrad.recipes import CLASS_WEIGHTS, DenseRecipe
from archgrad.segmentation.evaluation import Confusion, evaluate
from archgrad.tasks import Segmentation
from archgrad.training import Trainer, count_parameters, scores_shape


@dataclass(frozen=True)
class SegmentationScore:
    """What a training came to.

    `confusion` is that on the test set after the last epoch (not the best epoch), None without a test set.
    `augmentation` holds the mean and std that images are normalised with.
    """

    confusion: Confusion | None
    parameters: int
    seconds: float
    augmentation: DenseAugmentation
    history: list[Record] = field(repr=False)
    network: nn.Module = field(repr=False)


def train(
    network: nn.Module,
    *,
    data: SegmentationData,
    test: SegmentationData | None,
    recipe: DenseRecipe,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    device: str | torch.device = "auto",
) -> SegmentationScore:
    """Train a network from its present weights by a recipe and evaluate it.

    `network` maps images [N, C, H, W] to scores [N, classes, H, W]; any module will do. Where the recipe averages the
    weights, the average is what is evaluated and returned. `seed` fixes the order of the data, the augmentation and the
    network's own random layers; initialise the network under a seed of your own. On the CPU equal seeds give equal
    trainings bit for bit, also when stopped and resumed.

    Records hold, by epoch: `train_loss` and `train_accuracy`, means over images; `learning_rate` of the last step; and
    after every `evaluate_every` epochs and the last `test_accuracy`, of all pixels, and `test_iou`, the mean over
    classes.

    Raises:
        ValueError: before any work, for data that does not fit.
        Diverged: the loss is no longer finite; the step's number is in the message.
    """
    check_callbacks(callbacks)
    if not isinstance(recipe, DenseRecipe):
        raise ValueError(f"recipe: must be a DenseRecipe such as archgrad.recipes.cityscapes(), got {recipe!r}.")
    where = resolve_device(device)
    _check_data(network.to(where), data, test, recipe)
    augmentation = recipe.augmentation.fitted(data)
    stream = SegmentationStream(
        data, batch_size=recipe.batch_size, seed=seed, purpose="train", augmentation=augmentation, device=where
    )
    task = Segmentation(ignore=data.ignore, class_weights=class_weights(data, recipe.class_weights))
    trainer = Trainer(recipe, steps_per_epoch=stream.batches_per_epoch, task=task, seed=seed, device=where)

    def confusion(network: nn.Module, data: SegmentationData) -> Confusion:
        size = recipe.evaluation_batch_size
        return evaluate(network, data, augmentation=augmentation, batch_size=size, device=where)

    assessed: list[Confusion] = []

    def assess(network: nn.Module) -> dict[str, float]:
        if test is None:
            return {}
        found = confusion(network, test)
        assessed.append(found)
        return {"accuracy": found.accuracy, "iou": found.mean_iou}

    state = trainer.run(network, stream, assess=assess, callbacks=callbacks)
    last = None
    if test is not None:
        # One that was resumed at its end has assessed nothing, one that a callback ended perhaps not its last epoch.
        current = assessed and "test_iou" in state.progress.history[-1]
        last = assessed[-1] if current else confusion(state.best, test)
    return SegmentationScore(
        confusion=last,
        parameters=count_parameters(network),
        seconds=state.progress.seconds,
        augmentation=augmentation,
        history=state.progress.history,
        network=state.best.eval(),
    )


def class_weights(data: SegmentationData, rule: str) -> tuple[float, ...] | None:
    """What each class weighs in the loss, by its share of the labelled pixels; classes without pixels weigh nothing.

    "none": None, all weigh alike. "inverse_log": w_k = 1 / ln(1.02 + p_k), p_k the class's share of all labelled pixels
    (arXiv:1606.02147, section 5.2). "median_frequency": w_k = median(f) / f_k, f_k its share of those in the images
    where it occurs, the median over classes that do (arXiv:1411.4734, section 6.3.2; arXiv:1511.00561, section 4).

    Raises:
        ValueError: the rule is unknown, or no pixel has a class.

    >>> masks = torch.tensor([[[0, 0], [0, 1]], [[0, 0], [0, 255]]], dtype=torch.uint8)
    >>> data = SegmentationData(torch.zeros(2, 3, 2, 2, dtype=torch.uint8), masks, ("road", "sky"))
    >>> [round(weight, 3) for weight in class_weights(data, "median_frequency")]  # f = 6/7 and 1/4
    [0.646, 2.214]
    """
    if one_of("class_weights", rule, CLASS_WEIGHTS) == "none":
        return None
    counts = _pixels(data)
    pixels = counts.sum(dim=0).double()
    if not pixels.any():
        raise ValueError("data: no pixel has a class, so there is nothing to weigh the classes by.")
    occurs = pixels > 0
    if rule == "inverse_log":
        weights = [1 / math.log(1.02 + share) for share in (pixels / pixels.sum()).tolist()]
        return tuple(weight if there else 0.0 for weight, there in zip(weights, occurs.tolist(), strict=True))
    around = (counts.sum(dim=1, keepdim=True) * (counts > 0)).sum(dim=0)
    frequencies = pixels[occurs] / around[occurs]
    weights = torch.zeros_like(pixels)
    weights[occurs] = frequencies.quantile(0.5) / frequencies
    return tuple(weights.tolist())


def _pixels(data: SegmentationData) -> Int64[Tensor, "images classes"]:
    """How many pixels of each class each image has."""
    rows = []
    for mask in data.masks:
        labels = mask[mask != data.ignore].cpu()
        rows.append(labels.bincount(minlength=data.num_classes))
    return torch.stack(rows)


def _check_data(network: nn.Module, data: SegmentationData, test: SegmentationData | None, recipe: DenseRecipe) -> None:
    """Raise a ValueError unless the network scores each pixel of the data, and the test data has the same classes."""
    channels, *size = data.shape
    height, width = recipe.augmentation.crop or size
    _check_network(network, (channels, height, width), name="data", classes=data.classes)
    if test is None:
        return
    if test.shape[0] != channels:
        raise ValueError(f"test: images with {test.shape[0]} channels, but data has {channels}.")
    if test.classes != data.classes:
        raise ValueError(f"test: has the classes {test.classes}, but data has {data.classes}.")
    if test.ignore != data.ignore:
        raise ValueError(f"test: ignores the label {test.ignore}, but data ignores {data.ignore}.")
    _check_network(network, test.shape, name="test", classes=data.classes)


def _check_network(network: nn.Module, shape: tuple[int, int, int], *, name: str, classes: tuple[str, ...]) -> None:
    smallest = getattr(network, "smallest_side", 1)
    if min(shape[1:]) < smallest:
        raise ValueError(
            f"{name}: images of {shape[1]}×{shape[2]} are too small for the network's path, whose largest stride is "
            f"{smallest}; allowed is {smallest}×{smallest} and above."
        )
    found, wanted = scores_shape(network, shape, name=name), (1, len(classes), *shape[1:])
    if found != wanted:
        raise ValueError(
            f"{name}: images of shape {shape} and {len(classes)} classes need a network that gives scores "
            f"{list(wanted)}, got {list(found)}."
        )
