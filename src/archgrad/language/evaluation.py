"""How well a language model predicts a text: the perplexity of one pass, in which the hidden state is carried on."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor, nn

from archgrad.data.text import passes
from archgrad.devices import resolve_device
from archgrad.tasks import LanguageModelling


@dataclass(frozen=True)
class Perplexity:
    """loss = −1/N Σ_t ln p(token_t | tokens before), in nats per token, and what it is in other units.

    `tokens` is N, the number that were predicted: the first of each row of the batch has nothing before it.

    >>> Perplexity(loss=math.log(8), tokens=100).bits_per_token
    3.0
    """

    loss: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """exp(loss): so many equally likely tokens would be as hard to guess; inf where no float holds it."""
        try:
            return math.exp(self.loss)
        except OverflowError:
            return math.inf

    @property
    def bits_per_token(self) -> float:
        """loss / ln 2; bits per character where the tokens are characters."""
        return self.loss / math.log(2)


@torch.no_grad()
def evaluate(
    network: nn.Module,
    tokens: Int[Tensor, "length"],
    *,
    batch_size: int = 10,
    sequence_length: int = 35,
    device: str | torch.device = "auto",
) -> Perplexity:
    """Evaluate a language model on a text of `tokens`, without dropout; its mode is given back as it was.

    The text is cut into `batch_size` rows that are read side by side, each from its beginning to its end. The hidden
    state is carried on, so the result does not depend on `sequence_length`, which is how much is computed at a time;
    `batch_size` is how often the model starts from an empty state, hence 1 is what a published figure should have.
    Where the length is no multiple of `batch_size`, the last tokens are left out, as in the public code of
    arXiv:1806.09055.

    Raises:
        ValueError: a text too short for so many rows, a token beyond the network's vocabulary, or an unknown device.
    """
    where = resolve_device(device)
    check_tokens(network, tokens, name="tokens")
    task, training = LanguageModelling(slowness=0.0), network.training
    network = network.to(where).eval()
    total, count, carry = 0.0, 0, None
    try:
        for batch in passes(tokens, batch_size=batch_size, sequence_length=sequence_length, device=where):
            evaluation = task.evaluate(lambda inputs: network(*inputs), batch, carry)
            total += evaluation.loss.item() * evaluation.examples
            count += evaluation.examples
            carry = evaluation.carry
    finally:
        network.train(training)
    return Perplexity(total / count, count)


def check_tokens(network: nn.Module, tokens: Tensor, *, name: str) -> None:
    """Raise a ValueError if a text, called `name`, has tokens that the network has no score for."""
    size = size_of(network, "vocabulary_size")
    if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < size:
        raise ValueError(
            f"{name}: has token {int(tokens.max())}, but vocabulary_size of the network is {size}; "
            f"allowed: 0 to {size - 1}."
        )


def size_of(network: nn.Module, name: str) -> int:
    """The size that a language model has under `name`: vocabulary_size, or hidden_size.

    Raises:
        ValueError: the network does not have it.
    """
    size = getattr(network, name, None)
    if not isinstance(size, int):
        raise ValueError(f"network: must be a language model, with an attribute {name}; got {type(network).__name__}.")
    return size
