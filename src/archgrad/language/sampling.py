"""Text from a language model: token after token is drawn from what the model expects next, and read by it in turn."""

import torch
from torch import Tensor, nn

from archgrad.checks import at_least, whole
from archgrad.data.text import Vocabulary
from archgrad.data.text.vocabulary import UNKNOWN, tokenize
from archgrad.devices import resolve_device
from archgrad.language.evaluation import size_of
from archgrad.seeding import generator


@torch.no_grad()
def sample(
    network: nn.Module,
    vocabulary: Vocabulary,
    *,
    length: int,
    prompt: str = "",
    temperature: float = 1.0,
    seed: int = 0,
    unknown: bool = False,
    device: str | torch.device = "auto",
) -> str:
    """Draw `length` tokens that go on from `prompt`, and return both as one text.

    p(token) ∝ exp(score(token) / τ) with the `temperature` τ; τ = 0 takes the token of the highest score every time.
    The model starts at the beginning of a line, so that without a prompt a new line is drawn. `<unk>` is drawn only
    where `unknown` says so. `seed` is all that the draws follow from; torch's own generators are neither used nor
    changed, and the network stays in the mode that it was in.

    Raises:
        ValueError: a token of the prompt that the vocabulary lacks, named with its nearest; a vocabulary of another
            size than the network's; `length` or `temperature` below 0; or a network whose scores are not finite.
    """
    whole("length", length, 0)
    at_least("temperature", temperature, 0)
    size = size_of(network, "vocabulary_size")
    if len(vocabulary) != size:
        raise ValueError(
            f"vocabulary: has {len(vocabulary)} tokens, but vocabulary_size of the network is {size}; allowed: the "
            f"vocabulary that the network was trained with."
        )
    given = _read(prompt, vocabulary)
    forbidden = None if unknown else vocabulary.index(UNKNOWN)
    where, training = resolve_device(device), network.training
    network = network.to(where).eval()
    draws, drawn, hidden = generator(seed, "sample"), [], None
    unread = [vocabulary.index(vocabulary.end), *given]
    try:
        for _ in range(length):
            output = network(torch.tensor(unread, device=where).view(-1, 1), hidden)
            hidden = output.hidden
            unread = [_draw(output.scores[-1, 0].double().cpu(), temperature, forbidden=forbidden, draws=draws)]
            drawn += unread
    finally:
        network.train(training)
    return vocabulary.decode([*given, *drawn])


def _read(prompt: str, vocabulary: Vocabulary) -> list[int]:
    tokens = tokenize(prompt, vocabulary.level)
    if vocabulary.level == "word" and prompt and not prompt.endswith("\n"):
        tokens = tokens[:-1]  # the end of a line, which the prompt does not have
    try:
        return [vocabulary.index(token) for token in tokens]
    except ValueError as error:
        raise ValueError(f"prompt: {error}") from error


def _draw(scores: Tensor, temperature: float, *, forbidden: int | None, draws: torch.Generator) -> int:
    """Draw one token by its scores [vocabulary]."""
    if not scores.isfinite().all():
        raise ValueError("network: its scores are not finite; allowed: a network whose training has not diverged.")
    if forbidden is not None:
        scores[forbidden] = -torch.inf
    if temperature == 0:
        return int(scores.argmax())
    # The largest becomes 0 first, so that the lowest temperature does not overflow.
    return int(torch.multinomial(((scores - scores.max()) / temperature).softmax(dim=0), 1, generator=draws))
