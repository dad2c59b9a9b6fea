"""The published counts of the Penn Treebank and WikiText-2, where they lie at hand."""

import os
from pathlib import Path

import pytest

from archgrad.data.text import END, UNKNOWN, load_text
from archgrad.data.text.vocabulary import tokenize

FOLDER = Path(__file__).parents[3] / os.environ.get("ARCHGRAD_DATA", "../shared/data") / "text"
PENN, WIKITEXT = FOLDER / "ptb.train.txt", FOLDER / "wikitext2.tar.xz"


def sizes(corpus):
    return len(corpus.train), len(corpus.validation), len(corpus.test)


@pytest.mark.skipif(not PENN.exists(), reason=f"the Penn Treebank is not at {PENN}; set ARCHGRAD_DATA")
def test_penn_treebank():
    corpus = load_text(FOLDER)
    assert sizes(corpus) == (929_589, 73_760, 82_430)
    assert len(corpus.vocabulary) == 10_000
    assert corpus.vocabulary.tokens[:3] == ("the", UNKNOWN, END)
    text = PENN.read_text()
    assert corpus.unknown_shares["train"] == pytest.approx(text.split().count(UNKNOWN) / 929_589)
    assert sum(corpus.vocabulary.unknown((FOLDER / f"ptb.{part}.txt").read_text()) for part in ("valid", "test")) == 0
    assert list(tokenize(corpus.vocabulary.decode(corpus.train))) == list(tokenize(text))


@pytest.mark.slow
@pytest.mark.skipif(not WIKITEXT.exists(), reason=f"WikiText-2 is not at {WIKITEXT}; set ARCHGRAD_DATA")
def test_wikitext_2():
    corpus = load_text(WIKITEXT)
    assert sizes(corpus) == (2_088_628, 217_646, 245_569)
    assert len(corpus.vocabulary) == 33_278
    assert corpus.name == "wikitext2"
