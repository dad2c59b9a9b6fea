"""Vocabularies: which tokens, in which order, and texts to indices and back."""

import json
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.data.text import END, UNKNOWN, Vocabulary
from archgrad.data.text.vocabulary import VERSION, tokenize

LINES = st.lists(st.lists(st.sampled_from(["a", "b", "cc", "d", UNKNOWN]), max_size=5), max_size=6)
BASE = Vocabulary((UNKNOWN, END, "a"))


def written(lines):
    return "".join(" ".join(line) + "\n" for line in lines)


@settings(max_examples=50, deadline=None)
@given(LINES)
def test_every_line_ends_in_one_token_also_empty_ones(lines):
    assert list(tokenize(written(lines))) == [token for line in lines for token in (*line, END)]


@pytest.mark.parametrize("text", ["a b\nc", "a b\nc\n", "  a   b \n\tc  \n", "a b\r\nc\r\n"])
def test_spaces_and_a_missing_last_newline_do_not_matter(text):
    assert list(tokenize(text)) == ["a", "b", END, "c", END]


@settings(max_examples=50, deadline=None)
@given(LINES, st.integers(1, 4), st.none() | st.integers(3, 6))
def test_tokens_by_falling_count_then_alphabet(lines, minimum_count, size):
    vocabulary = Vocabulary.build(written(lines), minimum_count=minimum_count, size=size)
    encoded = Counter(vocabulary.encode(written(lines)).tolist())
    order = [(-encoded[index], token) for index, token in enumerate(vocabulary.tokens)]
    assert order == sorted(order)
    counts = Counter(token for line in lines for token in line if token != UNKNOWN)
    frequent = sorted((-count, token) for token, count in counts.items() if count >= minimum_count)
    kept = frequent if size is None else frequent[: size - 2]
    assert set(vocabulary.tokens) == {token for _, token in kept} | {UNKNOWN, END}


def test_size_and_minimum_count_send_rare_tokens_to_unknown():
    text = "a a a b b c\n"
    assert Vocabulary.build(text, size=3).tokens == (UNKNOWN, "a", END)  # <unk> counts 3 as a does, and '<' is first
    assert Vocabulary.build(text, minimum_count=2).tokens == ("a", "b", END, UNKNOWN)
    vocabulary = Vocabulary.build(text, minimum_count=2)
    assert vocabulary.encode("a c").tolist() == [0, 3, 2]


@settings(max_examples=50, deadline=None)
@given(LINES)
def test_words_survive_a_round_trip(lines):
    text = written(lines)
    vocabulary = Vocabulary.build(text)
    encoded = vocabulary.encode(text)
    assert encoded.dtype == torch.int64
    assert vocabulary.decode(encoded) == vocabulary.decode(encoded.tolist()) == text
    assert [vocabulary.tokens[index] for index in encoded] == list(tokenize(text))


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_characters_survive_a_round_trip_exactly(text):
    vocabulary = Vocabulary.build(text, "character")
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert set(vocabulary.tokens) == set(text) | {UNKNOWN, "\n"}
    assert vocabulary.unknown(text) == 0


def test_a_last_line_without_newline_decodes_without_one():
    vocabulary = Vocabulary.build("a b\n")
    assert vocabulary.decode(vocabulary.encode("a b\n")[:-1]) == "a b"
    assert vocabulary.decode(torch.zeros(0, dtype=torch.int64)) == ""


@settings(max_examples=30, deadline=None)
@given(LINES, LINES)
def test_unknown_counts_what_encoding_loses(known, other):
    vocabulary = Vocabulary.build(written(known))
    lost = [
        token for token, index in zip(tokenize(written(other)), vocabulary.encode(written(other)), strict=True)
        if vocabulary.tokens[index] != token
    ]  # fmt: skip
    assert vocabulary.unknown(written(other)) == len(lost)
    assert not lost or vocabulary.decode(vocabulary.encode(lost[0])) == f"{UNKNOWN}\n"


@settings(max_examples=30, deadline=None)
@given(st.text(), st.sampled_from(["word", "character"]))
def test_json_round_trip(text, level):
    vocabulary = Vocabulary.build(text, level)
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again == vocabulary
    assert again.digest == vocabulary.digest


def test_digests_tell_vocabularies_apart():
    tokens = (UNKNOWN, END, "a")
    vocabularies = [
        Vocabulary(tokens), Vocabulary(tokens[::-1]), Vocabulary((*tokens, "b")),
        Vocabulary((UNKNOWN, "\n"), "character"), Vocabulary((UNKNOWN, "\n", "a"), "character"),
    ]  # fmt: skip
    assert len({vocabulary.digest for vocabulary in vocabularies}) == 5


def test_index_is_the_place_and_a_miss_names_the_nearest():
    vocabulary = Vocabulary.build("the cat\nthe cot\nthe cut\nthe cart\n")
    assert [vocabulary.index(token) for token in vocabulary.tokens] == list(range(len(vocabulary)))
    with pytest.raises(ValueError, match="token: 'cqt' is not among the 7 tokens of the vocabulary; did you mean") as e:
        vocabulary.index("cqt")
    assert str(e.value).count(" or ") == 2
    with pytest.raises(ValueError, match=r"token: 'zzzzzz' is not among the 7 tokens of the vocabulary\.$"):
        vocabulary.index("zzzzzz")


@pytest.mark.parametrize(
    ("tokens", "level", "message"),
    [
        ((UNKNOWN, END), "words", "level: 'words' is unknown; did you mean 'word'"),
        ((UNKNOWN, END, "a", "a"), "word", "tokens: 'a' occurs more than once"),
        ((END, "a"), "word", "tokens: '<unk>' is missing"),
        ((UNKNOWN, "a"), "word", "tokens: '<eos>' is missing"),
        ((UNKNOWN, "a"), "character", r"tokens: '\\n' is missing"),
        ((UNKNOWN, END, "a b"), "word", "tokens: 'a b' is not a word without whitespace"),
        ((UNKNOWN, END, ""), "word", "tokens: '' is not a word"),
        ((UNKNOWN, "\n", "ab"), "character", "tokens: 'ab' is not one character"),
    ],
)
def test_impossible_vocabularies(tokens, level, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(tokens, level)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": "byte"}, "level: 'byte' is unknown"),
        ({"minimum_count": 0}, "minimum_count: must be at least 1, got 0"),
        ({"size": 2}, "size: must be at least 3, got 2"),
    ],
)
def test_impossible_requests(arguments, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary.build("a", **arguments)


@pytest.mark.parametrize("index", [-1, 3])
def test_indices_out_of_range(index):
    with pytest.raises(ValueError, match=f"indices: {index} is no index of 3 tokens; allowed is 0 to 2"):
        BASE.decode([0, index])


def document(**changes):
    return json.dumps({**json.loads(BASE.to_json()), **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "vocabulary: not JSON"),
        ("[]", "its 'format' is not 'archgrad.vocabulary'"),
        (document(format="archgrad.genotype"), "its 'format' is not"),
        (document(version="1"), "version '1' is not a positive integer"),
        (document(version=VERSION + 1), f"version {VERSION + 1} is newer than this archgrad reads"),
        (document(level=1), "'level' is 1"),
        (document(level="byte"), "level: 'byte' is unknown"),
        (document(tokens="abc"), "'tokens' is no list"),
        (document(tokens=[UNKNOWN, END, 3]), "token 3 is no text"),
        (document(tokens=[UNKNOWN, END, END]), "'<eos>' occurs more than once"),
    ],
)
def test_broken_json(text, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_json(text)


def test_the_representation_is_short():
    assert len(repr(Vocabulary.build(" ".join(map(str, range(1000)))))) < 100
