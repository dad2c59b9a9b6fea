"""Stratified splits: the two halves a search trains and validates on, and a test set where none is given."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, overload

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import Dataset, Subset

from archgrad.data.images import ImageData, encode_labels
from archgrad.data.items import length, read_item
from archgrad.seeding import generator


def stratified_split(
    labels: Int64[Tensor, "examples"], fraction: float, *, seed: int, classes: Sequence[str] | None = None
) -> tuple[Int64[Tensor, "first"], Int64[Tensor, "second"]]:
    """Draw two disjoint sets of indices which together are all, the first with about `fraction` of every class.

    Every class gives the whole number just below or above fraction · size to the first part, at least one example to
    each part, and the parts' sizes are as near to the fraction as that allows.

    Arguments:
        labels: class of every example.
        fraction: share of the first part, between 0 and 1.
        seed: which split; equal seeds give equal splits.
        classes: names for the error message.

    Returns:
        The indices of the two parts, ascending.

    Raises:
        ValueError: `fraction` outside (0, 1), no labels, or a class with a single example.

    >>> first, second = stratified_split(torch.tensor([0, 1, 0, 1, 0, 0]), 0.5, seed=0)
    >>> len(first), len(second)
    (3, 3)
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: must lie strictly between 0 and 1, got {fraction}.")
    if len(labels) == 0:
        raise ValueError("labels: must not be empty.")
    labels = labels.cpu()
    values, sizes = labels.unique(return_counts=True)
    for value, size in zip(values.tolist(), sizes.tolist(), strict=True):
        if size < 2:
            name = repr(classes[value]) if classes is not None else value
            raise ValueError(f"labels: class {name} has a single example; a split needs at least 2 of every class.")
    shuffled = torch.randperm(len(labels), generator=generator(seed, "stratified_split"))
    groups = [shuffled[labels[shuffled] == value] for value in values.tolist()]
    firsts = _shares(sizes.tolist(), fraction)
    first = torch.cat([group[:count] for group, count in zip(groups, firsts, strict=True)])
    second = torch.cat([group[count:] for group, count in zip(groups, firsts, strict=True)])
    return first.sort().values, second.sort().values


def labels_of(data: ImageData | Dataset[Any]) -> Int64[Tensor, "examples"]:
    """Read the label of every example.

    A dataset's `targets` are used where it has them and no `target_transform` changes them, also through
    `torch.utils.data.Subset`; otherwise every item is read once, without touching the caller's random state.

    Raises:
        ValueError: a label is no whole number, or `targets` has another length than the dataset.
    """
    if isinstance(data, ImageData):
        return data.labels
    if isinstance(data, Subset):
        return labels_of(data.dataset)[torch.as_tensor(data.indices, dtype=torch.int64)]
    targets = getattr(data, "targets", None)
    if targets is None or getattr(data, "target_transform", None) is not None:
        return torch.tensor([read_item(data, index, seed=0)[1] for index in range(length(data))], dtype=torch.int64)
    labels, _ = encode_labels(targets)
    if len(labels) != length(data):
        raise ValueError(f"targets: {type(data).__name__} has {len(labels)} of them for {length(data)} items.")
    return labels


@overload
def halve(data: ImageData, *, fraction: float = 0.5, seed: int) -> tuple[ImageData, ImageData]: ...
@overload
def halve(data: Dataset[Any], *, fraction: float = 0.5, seed: int) -> tuple[Subset[Any], Subset[Any]]: ...
def halve(data: ImageData | Dataset[Any], *, fraction: float = 0.5, seed: int) -> tuple[Any, Any]:
    """Split data into the part that trains the weights and the part that trains the architecture (Eq. 4).

    Arguments:
        data: `ImageData`, which gives two of them, or a map-style dataset, which gives two `Subset`s.
        fraction: share of the first part in every class.
        seed: which split.

    Raises:
        ValueError: as `stratified_split`.
    """
    if isinstance(data, ImageData):
        train, validation = stratified_split(data.labels, fraction, seed=seed, classes=data.classes)
        return data.subset(train), data.subset(validation)
    train, validation = stratified_split(labels_of(data), fraction, seed=seed)
    return Subset(data, train.tolist()), Subset(data, validation.tolist())


def _shares(sizes: list[int], fraction: float) -> list[int]:
    """How many of each class go first: largest remainders, with at least one of every class on either side."""
    exact = Fraction(fraction).limit_denominator(10**9)  # 0.1 · 30 is 3, which floats miss
    ideals = [exact * size for size in sizes]
    counts = [max(1, math.floor(ideal)) for ideal in ideals]
    ceilings = [min(size - 1, math.ceil(ideal)) for size, ideal in zip(sizes, ideals, strict=True)]
    counts = [min(count, size - 1) for count, size in zip(counts, sizes, strict=True)]
    missing = round(exact * sum(sizes)) - sum(counts)
    by_remainder = sorted(range(len(sizes)), key=lambda index: ideals[index] - counts[index], reverse=True)
    for index in by_remainder:
        if missing > 0 and counts[index] < ceilings[index]:
            counts[index] += 1
            missing -= 1
    return counts
