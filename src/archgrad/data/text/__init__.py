"""Text for recurrent language models: its tokens, where it comes from, and streams of consecutive sequences."""

from archgrad.data.text.corpus import GRAMMAR, Corpus, load_text
from archgrad.data.text.grammar import grammar_entropy, grammar_text
from archgrad.data.text.rules import violations
from archgrad.data.text.stream import FIXED, SEARCH_LENGTHS, TRAIN_LENGTHS, Lengths, TextStream, passes
from archgrad.data.text.vocabulary import END, LEVELS, UNKNOWN, Vocabulary

__all__ = [
    "END",
    "FIXED",
    "GRAMMAR",
    "LEVELS",
    "SEARCH_LENGTHS",
    "TRAIN_LENGTHS",
    "UNKNOWN",
    "Corpus",
    "Lengths",
    "TextStream",
    "Vocabulary",
    "grammar_entropy",
    "grammar_text",
    "load_text",
    "passes",
    "violations",
]
