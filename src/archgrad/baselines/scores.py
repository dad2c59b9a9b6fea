"""Scores for searches by evaluations: a network trained briefly, or a line of a table."""

from typing import Any, Protocol, runtime_checkable

import torch

from archgrad.baselines.trace import Evaluate
from archgrad.data.describe import check_classes, image_shape
from archgrad.data.images import ImageData, as_images
from archgrad.data.split import halve
from archgrad.devices import drawn_from, resolve_device
from archgrad.genotype import Genotype
from archgrad.recipes import Recipe
from archgrad.seeding import derive
from archgrad.spaces.space import ImageSpace
from archgrad.training import evaluate, train


def by_training(
    space: ImageSpace,
    data: Any,
    recipe: Recipe,
    *,
    train_fraction: float = 0.5,
    seed: int = 0,
    device: str | torch.device = "auto",
    **size: Any,
) -> Evaluate:
    """Score a genotype by the validation accuracy of its network, trained from scratch by the recipe.

    `data` is training data alone, as `archgrad.train` takes it; its stratified part of `train_fraction` trains the
    networks and the rest validates them, so that no test data is seen. `size` are arguments of `space.network`, such
    as channels=8; without them networks have the space's own size. The score is that after the last epoch and follows
    from genotype and seed alone, which also fixes the split.

    Raises:
        ValueError: before any work, for data that does not fit the space.
        Diverged (the score): a training's loss is no longer finite.
    """
    where = resolve_device(device)
    images = as_images(data)
    training, validation = halve(images, fraction=train_fraction, seed=seed)
    space.check_data(image_shape(training), images.num_classes if isinstance(images, ImageData) else None)
    for name, part in (("data (for training)", training), ("data (for validation)", validation)):
        check_classes(part, name=name, num_classes=space.num_classes)

    def score(genotype: Genotype) -> float:
        key = genotype.to_json()
        with drawn_from(derive(seed, "network weights", key)):
            network = space.network(genotype, **size)
        trained = train(network, train=training, recipe=recipe, seed=derive(seed, "training", key), device=where)
        metrics = evaluate(
            trained.network,
            validation,
            batch_size=recipe.batch_size,
            augmentation=trained.augmentation,
            device=where,
        )
        return metrics["accuracy"]

    return score


@runtime_checkable
class AccuracyTable(Protocol):
    """A benchmark in which the accuracies of all genotypes of a space are recorded."""

    def accuracy(self, genotype: Genotype, *, dataset: str, split: str, epochs: int) -> float: ...


def by_table(
    table: AccuracyTable, *, dataset: str = "cifar10", split: str = "validation", epochs: int = 12
) -> Evaluate:
    """Score a genotype by its line in a table, such as NAS-Bench-201's: the accuracy of a training of so many epochs.

    The defaults are what random search and evolution go by in NATS-Bench's public code (arXiv:2009.00437).
    """
    return lambda genotype: table.accuracy(genotype, dataset=dataset, split=split, epochs=epochs)
