"""A text as three sequences of token indices, for training, validation and test, over one vocabulary."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from archgrad import checks
from archgrad.data.text.grammar import TEST_TOKENS, TRAINING_TOKENS, VALIDATION_TOKENS, grammar_text
from archgrad.data.text.sources import ARCHIVES, Parts, read_parts
from archgrad.data.text.vocabulary import LEVELS, UNKNOWN, Vocabulary
from archgrad.seeding import derive

GRAMMAR = "grammar"
"""The name of the embedded corpus."""

FEWEST_TOKENS = 2
"""An input and its target: what is left of every part at least, however small the limit."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """Token indices for training, validation and test.

    Arguments:
        name: for people.
        train, validation, test: int64 [tokens], indices into `vocabulary`.
        vocabulary: the tokens.

    Raises:
        ValueError: a part is not int64 in one dimension, is empty, or has an index that is no token's.

    >>> vocabulary = Vocabulary.build("the cat sleeps")
    >>> parts = (vocabulary.encode(text) for text in ("the cat sleeps", "the dog sleeps", "the cat"))
    >>> corpus = Corpus("mine", *parts, vocabulary)
    >>> corpus
    Corpus(mine: 4 training, 4 validation and 3 test tokens, 5 different)
    >>> corpus.unknown_shares
    {'train': 0.0, 'validation': 0.25, 'test': 0.0}
    """

    name: str
    train: Tensor
    validation: Tensor
    test: Tensor
    vocabulary: Vocabulary

    def __post_init__(self) -> None:
        for name, tokens in self._parts().items():
            if tokens.ndim != 1 or tokens.dtype != torch.int64 or len(tokens) == 0:
                raise ValueError(f"{name}: must be int64 [tokens], got {tokens.dtype} {list(tokens.shape)}.")
            low, high = int(tokens.min()), int(tokens.max())
            if low < 0 or high >= len(self.vocabulary):
                wrong = low if low < 0 else high
                raise ValueError(f"{name}: {wrong} is no token; allowed is 0 to {len(self.vocabulary) - 1}.")

    def _parts(self) -> dict[str, Tensor]:
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def unknown_shares(self) -> dict[str, float]:
        """Of each part, the share of tokens that are `<unk>`: not in the vocabulary, or called so in the text."""
        unknown = self.vocabulary.index(UNKNOWN)
        return {name: (tokens == unknown).double().mean().item() for name, tokens in self._parts().items()}

    def __repr__(self) -> str:
        return (
            f"Corpus({self.name}: {len(self.train):,} training, {len(self.validation):,} validation and "
            f"{len(self.test):,} test tokens, {len(self.vocabulary):,} different)"
        )


def load_text(
    source: str | Path,
    *,
    level: str = "word",
    vocabulary: Vocabulary | None = None,
    minimum_count: int = 1,
    vocabulary_size: int | None = None,
    seed: int = 0,
    limit: int | None = None,
) -> Corpus:
    """Read a text, or draw the embedded one, and encode it.

    Arguments:
        source: "grammar", sentences drawn from the embedded grammar; or a folder or an archive (zip, tar) with one file
            each for training, validation and test, which have the words train, valid (val, dev) and test in their
            names; or one text file, whose lines are split in order, 80 % for training and 10 % each for the others.
        level: "word" or "character".
        vocabulary: encode with it; None builds one from the training part, all of it, whatever `limit` is.
        minimum_count: rarer tokens of the training part become `<unk>`.
        vocabulary_size: the largest number of tokens in the vocabulary; the rarer ones become `<unk>`.
        seed: which sentences are drawn from the grammar; files do not depend on it.
        limit: keep the first so many tokens of the training part, and a tenth of that of the two others.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: an argument is out of range; arguments that contradict a given `vocabulary`; parts are missing or
            ambiguous; or a file is empty, blank, or no UTF-8 text.
    """
    checks.one_of("level", level, LEVELS)
    checks.whole("minimum_count", minimum_count, 1)
    if vocabulary_size is not None:
        checks.whole("vocabulary_size", vocabulary_size, 3)
    if limit is not None:
        checks.whole("limit", limit, FEWEST_TOKENS)
    if vocabulary is not None:
        _check_given(vocabulary, level, minimum_count, vocabulary_size)
    parts, name = _read(source, seed)
    if vocabulary is None:
        vocabulary = Vocabulary.build(parts.training, level, minimum_count=minimum_count, size=vocabulary_size)
    train, validation, test = (vocabulary.encode(text) for text in parts)
    if limit is not None:
        few = max(-(-limit // 10), FEWEST_TOKENS)
        train, validation, test = train[:limit].clone(), validation[:few].clone(), test[:few].clone()
    return Corpus(name, train, validation, test, vocabulary)


def _check_given(vocabulary: Vocabulary, level: str, minimum_count: int, vocabulary_size: int | None) -> None:
    if vocabulary.level != level:
        raise ValueError(f"level: {level!r}, but the given vocabulary is of level {vocabulary.level!r}.")
    if minimum_count > 1 or vocabulary_size is not None:
        raise ValueError(
            "vocabulary: is given, so that none is built; leave out minimum_count and vocabulary_size, got "
            f"{minimum_count} and {vocabulary_size}."
        )


def _read(source: str | Path, seed: int) -> tuple[Parts, str]:
    if source == GRAMMAR:
        sizes = (TRAINING_TOKENS, VALIDATION_TOKENS, TEST_TOKENS)
        drawn = [
            grammar_text(size, seed=derive(seed, "grammar", part))
            for part, size in zip(Parts._fields, sizes, strict=True)
        ]
        return Parts(*drawn), GRAMMAR
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(
            f"source: {str(source)!r} is neither {GRAMMAR!r} nor a file or folder; allowed are a folder or an archive "
            f"({', '.join(ARCHIVES)}) with texts for training, validation and test, and a text file."
        )
    name = path.resolve().name
    return read_parts(path), name[: name.index(".", 1)] if path.is_file() and "." in name[1:] else name
