"""Recurrent language models: search, training, perplexity, sampling, and how much memory they need."""

from archgrad.language.evaluation import Perplexity, evaluate
from archgrad.language.memory import estimate_bytes, require_memory
from archgrad.language.sampling import sample
from archgrad.language.search import search
from archgrad.language.training import LanguageScore, LanguageState, LanguageTrainer, averaging_begins, train

__all__ = [
    "LanguageScore",
    "LanguageState",
    "LanguageTrainer",
    "Perplexity",
    "averaging_begins",
    "estimate_bytes",
    "evaluate",
    "require_memory",
    "sample",
    "search",
    "train",
]
