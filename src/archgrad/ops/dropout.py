"""Variational dropout of language models: one mask for all time steps of a sequence, and rows of the embedding.

Masks are drawn from torch's own generator, as `torch.nn.Dropout` draws them, by float numbers on the tensor's device.
"""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from archgrad.checks import share


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """Where a language model drops, with which probability; the defaults are those of the search on Penn Treebank.

    Reference: arXiv:1806.09055, appendix A.1.2 and A.2.2; variational dropout: arXiv:1512.05287; rows of the embedding
    and masks locked over time: arXiv:1708.02182.

    Raises:
        ValueError: a probability outside [0, 1), named in the message.
    """

    output: float = 0.75  # of the cell's outputs, before the decoder
    hidden: float = 0.25  # of the states that are multiplied with the cell's weights
    cell_input: float = 0.75  # of the embedded tokens, where the cell reads them
    embedding: float = 0.2  # of the embedded tokens, where the embedding gives them
    rows: float = 0.0  # of whole tokens in the embedding

    def __post_init__(self) -> None:
        for field in fields(self):
            share(f"dropout.{field.name}", getattr(self, field.name))


NO_DROPOUT = Dropout(output=0.0, hidden=0.0, cell_input=0.0, embedding=0.0)
"""Nothing is dropped."""


def keep_mask(like: Tensor, shape: tuple[int, ...], probability: float) -> Float[Tensor, "..."]:
    """A mask of 0 with `probability` and 1 / (1 − probability) otherwise, of the kind of `like`."""
    kept = torch.rand(shape, dtype=like.dtype, device=like.device) >= probability
    return kept.to(like.dtype).div_(1.0 - probability)


def masked(state: Tensor, mask: Tensor | None) -> Tensor:
    """A state under a mask, which may be None."""
    return state if mask is None else state * mask


def locked_dropout(
    sequence: Float[Tensor, "time batch size"], probability: float, *, training: bool
) -> Float[Tensor, "time batch size"]:
    """Drop units with one mask [batch, size] for all time steps (arXiv:1512.05287); nothing outside training."""
    if not training or not probability:
        return sequence
    return sequence * keep_mask(sequence, tuple(sequence.shape[1:]), probability)


def row_dropout(
    weight: Float[Tensor, "rows size"], probability: float, *, training: bool
) -> Float[Tensor, "rows size"]:
    """Drop whole rows of an embedding, that is tokens (arXiv:1512.05287); nothing outside training."""
    if not training or not probability:
        return weight
    return weight * keep_mask(weight, (weight.shape[0], 1), probability)
