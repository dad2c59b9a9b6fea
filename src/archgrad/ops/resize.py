"""Bilinear resizing between the strides of a trellis."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def halved(size: tuple[int, int], times: int = 1) -> tuple[int, int]:
    """Height and width after so many layers of stride 2, each of which rounds up: ⌈n / 2^times⌉.

    >>> [halved((321, 321), times)[0] for times in (2, 3, 4, 5)]
    [81, 41, 21, 11]
    """
    height, width = (-(-length // 2**times) for length in size)
    return height, width


def resize(
    x: Float[Tensor, "batch channels height width"], size: tuple[int, int]
) -> Float[Tensor, "batch channels new_height new_width"]:
    """Resize to `size` (height, width) bilinearly; corners stay corners.

    Pixel i of a stride-2 convolution lies on pixel 2i of its input. Where an image has 2n − 1 pixels, resizing it to n
    or back keeps every pixel in that place (`align_corners`), as in the authors' code of arXiv:1901.02985.
    """
    return x if x.shape[-2:] == size else F.interpolate(x, size, mode="bilinear", align_corners=True)
