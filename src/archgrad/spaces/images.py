"""What spaces for images check of the data that they are given."""


def image_size(shape: tuple[int, ...], *, in_channels: int, reader: str = "network") -> tuple[int, int]:
    """The height and width of images of `shape` (channels, height, width), which `reader` reads.

    Raises:
        ValueError: the shape is none of images, or has another number of channels.
    """
    if len(shape) != 3:
        raise ValueError(f"images: need the shape (channels, height, width), got {shape}.")
    found, height, width = shape
    if found != in_channels:
        raise ValueError(f"in_channels: the {reader} reads {in_channels} channels, the images have {found}.")
    return height, width


def check_num_classes(num_classes: int, found: int | None) -> None:
    """Raise a ValueError unless the data's classes, where they are known, are as many as the space's."""
    if found is not None and found != num_classes:
        raise ValueError(f"num_classes: the space has {num_classes}, the data has {found}.")
