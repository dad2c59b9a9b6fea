"""The embedded corpus: sentences drawn from a probabilistic grammar, whose rules ask a language model for memory.

Verbs agree in number with subjects from which relative clauses, prepositional phrases and bracketed asides part them;
brackets and clauses close in order; a number is followed by as many items, and n ticks by n tocks; a pronoun at the end
of a story agrees with the name at its beginning, and the mark at the end of a question with its first word. Within
each kind of word frequencies fall as 1/rank. Every sentence can be derived in one way only, so that the entropy of a
drawn text is known exactly: `grammar_entropy`.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from archgrad import checks
from archgrad.data.text import lexicon
from archgrad.seeding import derive

TRAINING_TOKENS, VALIDATION_TOKENS, TEST_TOKENS = 100_000, 10_000, 10_000
"""Tokens of the three parts of the embedded corpus, ends of lines included."""

DEEPEST_CLAUSE = 3
"""Clauses, asides and noun phrases within others at most."""

DEEPEST_BRACKET = 5
"""Brackets of goods within others at most."""

BLOCK = 4096  # uniform numbers drawn at once: one at a time, numpy takes longer than all the rest


def grammar_text(tokens: int, *, seed: int) -> str:
    """Draw sentences, one a line, until there are at least so many tokens, ends of lines included.

    Arguments:
        tokens: words, marks and line ends; the last sentence is whole, so that there may be some more.
        seed: of the sentences. A text is the beginning of every longer one of its seed.

    Raises:
        ValueError: `tokens` below 1.

    >>> print(grammar_text(20, seed=0), end="")
    clara follows the proud dogs ; boris falls ; many rivers which every horse follows fall ; then she vanishes .
    """
    return "".join(line for line, _ in _drawn(tokens, seed))


def grammar_entropy(tokens: int, *, seed: int) -> float:
    """Minus the log probability of `grammar_text` with the same arguments, in nats per token, line ends included.

    No model has a lower loss on average over texts; its exponential is the perplexity of the grammar itself.

    Raises:
        ValueError: `tokens` below 1.
    """
    lines = list(_drawn(tokens, seed))
    return sum(nats for _, nats in lines) / sum(len(line.split()) + 1 for line, _ in lines)


def _drawn(tokens: int, seed: int) -> Iterator[tuple[str, float]]:
    """Lines and their surprisals in nats."""
    checks.whole("tokens", tokens, 1)
    draws = _Draws(seed)
    while tokens > 0:
        draws.nats = 0.0
        words = _sentence(draws)
        yield " ".join(words) + "\n", draws.nats
        tokens -= len(words) + 1


@dataclass(frozen=True)
class _Choice:
    """Options, the sums of their probabilities, and their surprisals in nats."""

    options: tuple[str, ...]
    cumulative: tuple[float, ...]
    nats: tuple[float, ...]


def _choice(weights: Mapping[str, float]) -> _Choice:
    total = sum(weights.values())
    shares = [weight / total for weight in weights.values()]
    return _Choice(tuple(weights), tuple(accumulate(shares)), tuple(-math.log(share) for share in shares))


def _zipf(words: Sequence[str]) -> _Choice:
    return _choice({word: 1 / rank for rank, word in enumerate(words, start=1)})


def _geometric(words: Sequence[str], ratio: float) -> _Choice:
    return _choice({word: ratio**rank for rank, word in enumerate(words)})


_KINDS = _choice({"statement": 0.46, "question": 0.14, "story": 0.14, "count": 0.1, "boxes": 0.1, "beat": 0.06})
_SUBJECTS = _choice({"animate": 0.55, "inanimate": 0.3, "name": 0.15})
_PLACES = _choice({"animate": 0.3, "inanimate": 0.7})
_POSTS = _choice({"none": 0.48, "place": 0.24, "subject": 0.1, "object": 0.1, "aside": 0.08})
_OBJECT_POSTS = _choice({"none": 0.7, "place": 0.15, "subject": 0.06, "object": 0.06, "aside": 0.03})
_VERB_PHRASES = _choice({"intransitive": 0.45, "transitive": 0.45, "reporting": 0.1})
_LEAF_VERB_PHRASES = _choice({"intransitive": 0.5, "transitive": 0.5})
_GENDERS = _choice({"female": 0.5, "male": 0.5})
_QUANTITY = _choice({"singular": 0.55, "plural": 0.45})
_YES_NO = {share: _choice({"yes": share, "no": 1 - share}) for share in (0.25, 0.3, 0.4)}
_BOXES = _choice({"good": 0.45, "box": 0.2, "close": 0.35})
_LEAF_BOXES = _choice({"good": 0.5, "close": 0.5})
_OPENING = _zipf(tuple(lexicon.BRACKETS))
_NAMES = {"female": _zipf(lexicon.FEMALE), "male": _zipf(lexicon.MALE)}
_NOUNS = {"animate": _zipf(lexicon.ANIMATE), "inanimate": _zipf(lexicon.INANIMATE)}
_DETERMINERS = {
    "singular": _zipf((lexicon.DETERMINER, *lexicon.SINGULAR_DETERMINERS)),
    "plural": _zipf((lexicon.DETERMINER, *lexicon.PLURAL_DETERMINERS)),
}
_VERBS = {
    "intransitive": _zipf(lexicon.INTRANSITIVE),
    "transitive": _zipf(lexicon.TRANSITIVE),
    "reporting": _zipf(lexicon.REPORTING),
}
_ADJECTIVES, _ADVERBS = _zipf(lexicon.ADJECTIVES), _zipf(lexicon.ADVERBS)
_PREPOSITIONS, _GOODS = _zipf(lexicon.PREPOSITIONS), _zipf(lexicon.GOODS)
_NUMBERS = _geometric(lexicon.NUMBERS, 0.8)
_BEATS = _geometric([str(count) for count in range(1, lexicon.LONGEST_BEAT + 1)], 0.8)


class _Draws:
    """Choices drawn one after the other, and the sum of their surprisals in nats."""

    def __init__(self, seed: int) -> None:
        self._uniform = _uniform(np.random.default_rng(derive(seed, "grammar text")))
        self.nats = 0.0

    def pick(self, choice: _Choice) -> str:
        place = bisect_right(choice.cumulative, next(self._uniform), hi=len(choice.options) - 1)
        self.nats += choice.nats[place]
        return choice.options[place]

    def happens(self, share: float) -> bool:
        return self.pick(_YES_NO[share]) == "yes"


def _uniform(generator: np.random.Generator) -> Iterator[float]:
    while True:
        yield from generator.random(BLOCK).tolist()


def _sentence(draws: _Draws) -> list[str]:
    match draws.pick(_KINDS):
        case "statement":
            subject, quantity = _noun_phrase(draws, DEEPEST_CLAUSE)
            words = subject + _verb_phrase(draws, quantity, DEEPEST_CLAUSE)
            if draws.happens(0.25):
                words += ["and", *_verb_phrase(draws, quantity, DEEPEST_CLAUSE)]
            return [*words, "."]
        case "question":
            subject, quantity = _noun_phrase(draws, DEEPEST_CLAUSE)
            auxiliary = next(word for word, other in lexicon.AUXILIARIES.items() if other == quantity)
            return [auxiliary, *subject, *_verb_phrase(draws, "plural", DEEPEST_CLAUSE), "?"]
        case "story":
            return _story(draws)
        case "count":
            number = draws.pick(_NUMBERS)
            goods = [draws.pick(_GOODS) for _ in range(lexicon.NUMBERS.index(number) + 1)]
            return ["count", number, ":", *goods, "."]
        case "boxes":
            return ["inside", ":", *_box(draws, DEEPEST_BRACKET), "."]
        case _:
            count = int(draws.pick(_BEATS))
            return ["hear", *["tick"] * count, *["tock"] * count, "."]


def _story(draws: _Draws) -> list[str]:
    gender = draws.pick(_GENDERS)
    words = [draws.pick(_NAMES[gender]), *_verb_phrase(draws, "singular", 1), ";"]
    for _ in range(1 + draws.happens(0.3)):
        words += [*_clause(draws, 1), ";"]
    pronoun = next(word for word, other in lexicon.PRONOUNS.items() if other == gender)
    return [*words, "then", pronoun, *_verb_phrase(draws, "singular", 1), "."]


def _clause(draws: _Draws, depth: int) -> list[str]:
    subject, quantity = _noun_phrase(draws, depth)
    return subject + _verb_phrase(draws, quantity, depth)


def _noun_phrase(draws: _Draws, depth: int, posts: _Choice = _POSTS) -> tuple[list[str], str]:
    """A noun phrase and its number, with what may follow its noun: a place, a relative clause or an aside."""
    kind = draws.pick(_SUBJECTS)
    if kind == "name":
        return [draws.pick(_NAMES[draws.pick(_GENDERS)])], "singular"
    words, quantity = _noun(draws, kind)
    if depth == 0:
        return words, quantity
    match draws.pick(posts):
        case "place":
            words.append(draws.pick(_PREPOSITIONS))
            words += _noun(draws, draws.pick(_PLACES))[0]
        case "subject":
            words += [_relative(kind), *_verb_phrase(draws, quantity, depth - 1)]
        case "object":
            subject, number = _noun_phrase(draws, depth - 1)
            words += [_relative(kind), *subject, _verb(draws, "transitive", number)]
        case "aside":
            opening = draws.pick(_OPENING)
            words += [opening, *_clause(draws, depth - 1), lexicon.BRACKETS[opening]]
    return words, quantity


def _noun(draws: _Draws, kind: str) -> tuple[list[str], str]:
    quantity = draws.pick(_QUANTITY)
    words = [draws.pick(_DETERMINERS[quantity])]
    if draws.happens(0.3):
        words.append(draws.pick(_ADJECTIVES))
    noun = draws.pick(_NOUNS[kind])
    return [*words, noun if quantity == "singular" else lexicon.plural(noun)], quantity


def _relative(kind: str) -> str:
    return next(word for word, other in lexicon.RELATIVES.items() if other == kind)


def _verb_phrase(draws: _Draws, quantity: str, depth: int) -> list[str]:
    kind = draws.pick(_VERB_PHRASES if depth else _LEAF_VERB_PHRASES)
    words = [_verb(draws, kind, quantity)]
    if kind == "transitive":
        words += _noun_phrase(draws, max(depth - 1, 0), _OBJECT_POSTS)[0]
    elif kind == "reporting":
        words += ["that", *_clause(draws, depth - 1)]
    elif draws.happens(0.4):
        words.append(draws.pick(_ADVERBS))
    return words


def _verb(draws: _Draws, kind: str, quantity: str) -> str:
    verb = draws.pick(_VERBS[kind])
    return lexicon.singular_verb(verb) if quantity == "singular" else verb


def _box(draws: _Draws, depth: int) -> list[str]:
    opening = draws.pick(_OPENING)
    words = [opening]
    while True:
        match draws.pick(_BOXES if depth > 1 else _LEAF_BOXES):
            case "good":
                words.append(draws.pick(_GOODS))
            case "box":
                words += _box(draws, depth - 1)
            case _:
                return [*words, lexicon.BRACKETS[opening]]
