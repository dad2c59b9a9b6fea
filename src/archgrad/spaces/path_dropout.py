"""Path dropout of derived networks: whole paths of single samples are dropped in training, ever more of them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from archgrad.checks import share


def drop_path(
    x: Float[Tensor, "batch channels height width"], probability: float
) -> Float[Tensor, "batch channels height width"]:
    """Zero whole samples with `probability` and divide the others by 1 − probability, so that the mean is kept.

    Reference: arXiv:1605.07648 as used in arXiv:1707.07012 and the DARTS code (scheduled, per sample).
    """
    kept = torch.empty(x.shape[0], 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(1 - probability)
    return x * (kept / (1 - probability))


def set_path_dropout(network: nn.Module, probability: float) -> None:
    """Set the path dropout of a network that has it, as an attribute `path_dropout`; others are left alone.

    Raises:
        ValueError: the probability is not in [0, 1).
    """
    share("path_dropout", probability)
    if hasattr(network, "path_dropout"):
        network.path_dropout = probability  # pyright: ignore[reportArgumentType]  an attribute, no module
