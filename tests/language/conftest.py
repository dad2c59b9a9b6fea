"""Language models whose predictions are known in closed form."""

import pytest
import torch


@pytest.fixture(scope="session")
def memoryless():
    """A network that scores the next token by the last one alone: row v of a table [vocabulary, vocabulary]."""
    from archgrad.tasks import LanguageOutput

    class Memoryless(torch.nn.Module):
        def __init__(self, table):
            super().__init__()
            self.vocabulary_size = len(table)
            self.table = torch.nn.Parameter(table)
            self.modes = []

        def forward(self, tokens, hidden=None):
            self.modes.append(self.training)
            scores = self.table[tokens]
            return LanguageOutput(scores, torch.zeros(1), scores, scores)

    return Memoryless


@pytest.fixture(scope="session")
def tiny_corpus():
    """2,000 words of the pattern "a b c a b d", then 240 for validation and 240 for test."""
    from archgrad.data.text import Corpus, Vocabulary

    def text(count, seed):
        ends = torch.randint(2, (count,), generator=torch.Generator().manual_seed(seed)).tolist()
        return "".join(f"a b {'cd'[end]}\n" for end in ends)

    vocabulary = Vocabulary.build(text(10, 0))
    parts = [vocabulary.encode(text(count, seed)) for seed, count in ((1, 500), (2, 60), (3, 60))]
    return Corpus("tiny", *parts, vocabulary)
