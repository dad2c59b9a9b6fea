"""What a network has to know of data before any work starts, and the checks that need all labels."""

from typing import Any

from torch.utils.data import Dataset

from archgrad.data.images import ImageData
from archgrad.data.items import read_item
from archgrad.data.split import labels_of


def image_shape(data: ImageData | Dataset[Any]) -> tuple[int, int, int]:
    """(channels, height, width) of the images; of a dataset, those of its first item."""
    if isinstance(data, ImageData):
        return data.shape
    channels, height, width = read_item(data, 0, seed=0)[0].shape
    return channels, height, width


def check_classes(data: ImageData | Dataset[Any], *, name: str, num_classes: int) -> None:
    """Raise a ValueError unless the labels lie in 0 … num_classes − 1 and every class occurs.

    `name` is what the message calls the data.
    """
    check_labels(data, name=name, num_classes=num_classes)
    counts = labels_of(data).bincount(minlength=num_classes)
    missing = (counts == 0).nonzero().flatten().tolist()
    if missing:
        known = data.classes if isinstance(data, ImageData) else ()
        names = [repr(known[label]) if label < len(known) else str(label) for label in missing]
        raise ValueError(f"{name}: has no example of class {', '.join(names)}; every class must occur.")


def check_labels(data: ImageData | Dataset[Any], *, name: str, num_classes: int) -> None:
    """Raise a ValueError unless all labels lie in 0 … num_classes − 1."""
    labels = labels_of(data)
    wrong = ((labels < 0) | (labels >= num_classes)).nonzero().flatten()
    if len(wrong):
        first = int(wrong[0])
        raise ValueError(
            f"{name}: example {first} has label {int(labels[first])}; allowed is 0 to {num_classes - 1} "
            f"for {num_classes} classes."
        )
