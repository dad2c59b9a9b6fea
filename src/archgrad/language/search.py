"""`search`: a recurrent cell for a text. The weights learn on its training part, the logits on its validation part."""

from collections.abc import Sequence
from typing import Any

import torch

from archgrad.bilevel import Searcher, SearchResult
from archgrad.data.text import FIXED, SEARCH_LENGTHS, Corpus, TextStream
from archgrad.devices import resolve_device
from archgrad.language.memory import estimate_bytes, require_memory
from archgrad.loop import Callback
from archgrad.methods import Method
from archgrad.settings import TextSearchSettings, changed
from archgrad.spaces.recurrent import RecurrentCellSpace
from archgrad.tasks import LanguageModelling
from archgrad.training import count_parameters


def search(
    space: RecurrentCellSpace,
    *,
    corpus: Corpus,
    method: Method | str | None = None,
    settings: TextSearchSettings | None = None,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    device: str | torch.device = "auto",
    **changes: Any,
) -> SearchResult:
    """Search a recurrent cell on a text (Eq. 4): as `archgrad.search`, with a hidden state that is carried on.

    The weights read the training text at lengths of `sequence_length`, or with probability 0.05 half of it, and their
    learning rate is scaled by the length; the logits read the validation text at that length. Both hidden states are
    carried from batch to batch, saved, and carried on where a text begins anew; the public code begins with zeros in
    each epoch. `changes` are fields of `TextSearchSettings`, such as `epochs=3`.

    Equal seeds give equal searches; on the CPU bit for bit, also when stopped and resumed.

    Reference: arXiv:1806.09055, appendix A.1.2.

    Raises:
        ValueError: before any work, for a text or settings that do not fit the space or each other, or a step that
            takes more memory than there is.
        Diverged: a loss is no longer finite.
    """
    resolved = changed(TextSearchSettings() if settings is None else settings, changes)
    where = resolve_device(device)
    space.check_data((), len(corpus.vocabulary))
    train, validation = (
        TextStream(
            tokens,
            batch_size=resolved.batch_size,
            sequence_length=resolved.sequence_length,
            seed=seed,
            purpose=f"search {purpose}",
            lengths=lengths,
            device=where,
        )
        for purpose, tokens, lengths in (
            ("train", corpus.train, SEARCH_LENGTHS),
            ("validation", corpus.validation, FIXED),
        )
    )
    require_memory(_estimate(space, resolved), where)
    searcher = Searcher(
        space,
        steps_per_epoch=train.batches_per_epoch,
        method=method,
        settings=resolved,
        task=LanguageModelling(
            slowness=resolved.slowness, activation=resolved.activation, sequence_length=resolved.sequence_length
        ),
        device=where,
    )
    return searcher.run(searcher.init(seed), train, validation, callbacks=callbacks)


def _estimate(space: RecurrentCellSpace, settings: TextSearchSettings) -> int:
    """The bytes of a step: an edge keeps [c, h], a node its state."""
    with torch.device("meta"):  # counts need no memory and no random numbers
        parameters = count_parameters(space.supernet())
    (group,) = space.groups
    return estimate_bytes(
        parameters=parameters,
        vocabulary_size=space.vocabulary_size,
        hidden_size=space.hidden_size,
        batch_size=settings.batch_size,
        sequence_length=settings.sequence_length,
        copies=3,
        states=2 * len(group.edges) + 2 * space.nodes + 8,
    )
