"""The tokens of a text and their indices: words or characters, with one token for whatever is not among them.

Words are counted as the Penn Treebank and WikiText are: what whitespace separates, and one `<eos>` at the end of every
line, of empty lines too. Characters are taken as they are, and the newline is the one that ends a line.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from archgrad import checks
from archgrad.files import read_document

FORMAT = "archgrad.vocabulary"
VERSION = 1

UNKNOWN = "<unk>"
"""The token of everything that is not in the vocabulary."""

END = "<eos>"
"""The token at the end of every line, at the level of words."""

LEVELS = ("word", "character")
ENDS = {"word": END, "character": "\n"}


def tokenize(text: str, level: str = "word") -> Sequence[str]:
    """Cut a text into tokens: words and `<eos>`, or characters.

    A last line without a newline is a line all the same, and ends in `<eos>` too.

    >>> tokenize("a b\\n\\nc")
    ['a', 'b', '<eos>', '<eos>', 'c', '<eos>']
    >>> list(tokenize("a b\\n", "character"))
    ['a', ' ', 'b', '\\n']

    Raises:
        ValueError: `level` is not one of `LEVELS`.
    """
    checks.one_of("level", level, LEVELS)
    if level == "character":
        return text
    if text and not text.endswith("\n"):
        text += "\n"
    return text.replace("\n", f" {END} ").split()


@dataclass(frozen=True)
class Vocabulary:
    """Tokens, whose places are their indices.

    Arguments:
        tokens: all different, with `<unk>` and the token that ends a line among them: `<eos>` for words, a newline for
            characters.
        level: "word" or "character".

    Raises:
        ValueError: `level` is unknown, a token occurs twice, is empty or no token of that level, or `<unk>` or the end
            of a line is missing.

    >>> vocabulary = Vocabulary.build("the cat\\nthe dog\\n")
    >>> vocabulary.tokens
    ('<eos>', 'the', 'cat', 'dog', '<unk>')
    >>> vocabulary.encode("the bird\\n")
    tensor([1, 4, 0])
    >>> vocabulary.decode([1, 4, 0])
    'the <unk>\\n'
    """

    tokens: tuple[str, ...]
    level: str = "word"

    def __post_init__(self) -> None:
        checks.one_of("level", self.level, LEVELS)
        twice = [token for token, count in Counter(self.tokens).items() if count > 1]
        if twice:
            raise ValueError(f"tokens: {twice[0]!r} occurs more than once.")
        for token in (UNKNOWN, self.end):
            if token not in self.tokens:
                raise ValueError(f"tokens: {token!r} is missing; a vocabulary of level {self.level!r} has it.")
        wrong = [token for token in self.tokens if not self._is_token(token)]
        if wrong:
            wanted = "a word without whitespace" if self.level == "word" else "one character"
            raise ValueError(f"tokens: {wrong[0]!r} is not {wanted}, as level {self.level!r} needs.")

    def _is_token(self, token: str) -> bool:
        if self.level == "word":
            return token.split() == [token]
        return len(token) == 1 or token == UNKNOWN

    @classmethod
    def build(cls, text: str, level: str = "word", *, minimum_count: int = 1, size: int | None = None) -> "Vocabulary":
        """Collect the tokens of a text, by falling count and, where counts are equal, in alphabetical order.

        `<unk>` counts what the text itself calls so and every token that is left out.

        Arguments:
            text: the training text.
            level: "word" or "character".
            minimum_count: tokens that occur less often are left out.
            size: the largest number of tokens, `<unk>` and the end of a line included; None keeps all.

        Raises:
            ValueError: `level` is unknown, `minimum_count` is below 1, or `size` below 3.
        """
        checks.whole("minimum_count", minimum_count, 1)
        if size is not None:
            checks.whole("size", size, 3)
        counts = Counter(tokenize(text, level))
        always = {special: counts.pop(special, 0) for special in (UNKNOWN, ENDS[level])}
        ranked = sorted(counts, key=lambda token: (-counts[token], token))
        kept = [token for token in ranked if counts[token] >= minimum_count]
        if size is not None:
            kept = kept[: size - len(always)]
        always[UNKNOWN] += counts.total() - sum(counts[token] for token in kept)
        final = {token: counts[token] for token in kept} | always
        return cls(tuple(sorted(final, key=lambda token: (-final[token], token))), level)

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens of level {self.level!r}, digest {self.digest})"

    @property
    def end(self) -> str:
        """The token that ends a line."""
        return ENDS[self.level]

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}

    def index(self, token: str) -> int:
        """The index of a token.

        Raises:
            ValueError: the vocabulary does not have it; the nearest tokens are named.

        >>> Vocabulary.build("the cat").index("cta")
        Traceback (most recent call last):
        ...
        ValueError: token: 'cta' is not among the 4 tokens of the vocabulary; did you mean 'cat'?
        """
        if token in self._indices:
            return self._indices[token]
        near = get_close_matches(token, self.tokens, n=3, cutoff=0.6)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
        raise ValueError(f"token: {token!r} is not among the {len(self):,} tokens of the vocabulary{hint}")

    def encode(self, text: str) -> Int64[Tensor, "tokens"]:
        """The indices of a text's tokens; tokens that the vocabulary lacks become `<unk>`."""
        tokens = tokenize(text, self.level)
        find, unknown = self._indices.get, self._indices[UNKNOWN]
        return torch.from_numpy(np.fromiter((find(token, unknown) for token in tokens), np.int64, len(tokens)))

    def unknown(self, text: str) -> int:
        """Count the tokens of a text that the vocabulary lacks; an `<unk>` in the text itself is not one.

        >>> Vocabulary.build("the cat").unknown("the dog <unk> the dog")
        2
        """
        known = self._indices
        return sum(token not in known for token in tokenize(text, self.level))

    def decode(self, indices: Sequence[int] | Int64[Tensor, "tokens"]) -> str:
        """The text of a sequence of indices: words joined by spaces, `<eos>` as a newline; characters just joined.

        Raises:
            ValueError: an index is not in 0 … len − 1.
        """
        places = indices.tolist() if isinstance(indices, Tensor) else list(indices)
        size = len(self)
        wrong = [place for place in places if not 0 <= place < size]
        if wrong:
            raise ValueError(f"indices: {wrong[0]} is no index of {size:,} tokens; allowed is 0 to {size - 1}.")
        tokens = [self.tokens[place] for place in places]
        if self.level == "character":
            return "".join(tokens)
        spaced = "".join("\n" if token == END else f"{token} " for token in tokens)
        return spaced.replace(" \n", "\n").removesuffix(" ")

    def to_json(self) -> str:
        """Write the vocabulary as JSON, with its format and version."""
        return json.dumps({"format": FORMAT, "version": VERSION, "level": self.level, "tokens": self.tokens}, indent=0)

    @classmethod
    def from_json(cls, text: str) -> "Vocabulary":
        """Read what `to_json` wrote.

        Raises:
            ValueError: the text is no JSON, no vocabulary, of a newer version, or its tokens are none.

        >>> vocabulary = Vocabulary.build("the cat")
        >>> Vocabulary.from_json(vocabulary.to_json()) == vocabulary
        True
        """
        document = read_document(text, "vocabulary", format=FORMAT, version=VERSION)
        level, tokens = document.get("level"), document.get("tokens")
        if not isinstance(level, str):
            raise ValueError(f"vocabulary: broken, 'level' is {level!r}, not one of {', '.join(LEVELS)}.")
        if not isinstance(tokens, list):
            raise ValueError("vocabulary: broken, 'tokens' is no list.")
        wrong = [token for token in tokens if not isinstance(token, str)]
        if wrong:
            raise ValueError(f"vocabulary: broken, token {wrong[0]!r} is no text.")
        return cls(tuple(tokens), level)

    @cached_property
    def digest(self) -> str:
        """A short text that differs for different vocabularies."""
        return hashlib.blake2b(self.to_json().encode(), digest_size=8).hexdigest()
