"""Whole jobs on text that leave a run folder behind: a search, a training, and both beside random cells and an LSTM."""

import statistics
from dataclasses import dataclass
from pathlib import Path

from archgrad.baselines import random_genotypes
from archgrad.bilevel import SearchResult
from archgrad.checks import whole
from archgrad.data.text import Corpus
from archgrad.experiment import Surroundings
from archgrad.genotype import Genotype
from archgrad.language import LanguageScore, sample, search, train
from archgrad.methods import Method
from archgrad.recipes import LanguageRecipe
from archgrad.runs import progress, save_language_model, write_json
from archgrad.seeding import derive
from archgrad.settings import TextSearchSettings
from archgrad.spaces import LSTMNetwork, RecurrentCellSpace
from archgrad.spaces.recurrent.language import LanguageModel
from archgrad.spaces.recurrent.lstm import hidden_size_for
from archgrad.summary import (
    LANGUAGE,
    LanguageRow,
    report_language_comparison,
    report_language_training,
    report_search,
)

SAMPLE_TOKENS = {"word": 120, "character": 600}
"""How much text a training's report shows, by the level of the vocabulary."""


def recorded_language_search(
    space: RecurrentCellSpace,
    corpus: Corpus,
    surroundings: Surroundings,
    *,
    method: Method,
    settings: TextSearchSettings,
) -> SearchResult:
    """Search a cell on a text, and leave genotypes, metrics, pictures and a report in the folder."""
    recorder = surroundings.recorder()
    result = search(
        space,
        corpus=corpus,
        method=method,
        settings=settings,
        seed=surroundings.seed,
        callbacks=[recorder, progress("search", quiet=surroundings.quiet)],
        device=surroundings.device,
    )
    recorder.folder.write_genotype(result.genotype)  # which a stopping rule may have found
    report_search(
        recorder.folder,
        space.groups,
        result.history,
        genotype=result.genotype,
        quantities=LANGUAGE,
        stopped_at=result.stopped_at,
    )
    return result


def recorded_language_training(
    genotype: Genotype | None,
    corpus: Corpus,
    surroundings: Surroundings,
    *,
    recipe: LanguageRecipe,
    hidden_size: int,
    title: str = "train",
) -> LanguageScore:
    """Train the language model of a genotype, or an LSTM (None), from scratch; leave it and a report in the folder."""
    vocabulary = corpus.vocabulary
    with surroundings.initialisation():
        network: LanguageModel
        if genotype is None:
            network = LSTMNetwork(vocabulary_size=len(vocabulary), hidden_size=hidden_size)
        else:
            space = RecurrentCellSpace(vocabulary_size=len(vocabulary), hidden_size=hidden_size)
            network = space.network(genotype)
    recorder = surroundings.recorder(genotype)
    score = train(
        network,
        corpus=corpus,
        recipe=recipe,
        seed=surroundings.seed,
        callbacks=[recorder, progress(title, quiet=surroundings.quiet)],
        device=surroundings.device,
    )
    save_language_model(recorder.folder, network, vocabulary, genotype=genotype, size={"hidden_size": hidden_size})
    continuation = sample(
        network,
        vocabulary,
        length=SAMPLE_TOKENS[vocabulary.level],
        seed=surroundings.seed,
        device=surroundings.device,
    )
    numbers = {
        f"{name}_{measure}": getattr(part, measure)
        for name, part in (("validation", score.validation), ("test", score.test))
        for measure in ("loss", "perplexity", "bits_per_token")
    }
    write_json(recorder.folder.path / "score.json", {**numbers, "parameters": score.parameters})
    report_language_training(recorder.folder, score, genotype=genotype, sample=continuation)
    return score


@dataclass(frozen=True)
class LanguageComparison:
    """The network of a found cell beside those of random cells and an LSTM of as many parameters."""

    found: LanguageRow
    random: list[LanguageRow]
    lstm: LanguageRow
    search_seconds: float
    report: Path

    def table(self) -> list[tuple[str, str]]:
        """The result as pairs of name and value."""
        perplexities = [row.test_perplexity for row in self.random]
        spread = statistics.stdev(perplexities) if len(perplexities) > 1 else 0.0
        return [
            ("test perplexity of the found cell", f"{self.found.test_perplexity:.2f}"),
            (f"random cells ({len(perplexities)}), mean ± std", f"{statistics.mean(perplexities):.2f} ± {spread:.2f}"),
            ("random cells, best", f"{min(perplexities):.2f}"),
            ("LSTM", f"{self.lstm.test_perplexity:.2f}"),
            ("parameters of the cells", f"{self.found.parameters:,}"),
            ("parameters of the LSTM", f"{self.lstm.parameters:,}"),
            ("search seconds", f"{self.search_seconds:.1f}"),
            ("train seconds (found; LSTM)", f"{self.found.seconds:.1f}; {self.lstm.seconds:.1f}"),
            ("report", str(self.report)),
        ]


def compare_language_models(
    space: RecurrentCellSpace,
    corpus: Corpus,
    surroundings: Surroundings,
    *,
    method: Method,
    settings: TextSearchSettings,
    recipe: LanguageRecipe,
    hidden_size: int,
    random_cells: int = 5,
) -> LanguageComparison:
    """Search, decode, and train by one recipe: the found cell, random cells, and an LSTM of equal parameter count.

    All cells of a space have the same number of parameters. Every network has its own initialisation and lengths of
    sequences, derived from the seed. A resumed job goes on with the part that it was in.

    Raises:
        ValueError: `hidden_size` or `random_cells` below 1, or what a search or a training refuses.
    """
    whole("hidden_size", hidden_size, 1)  # now, and not when the search is done
    rivals = random_genotypes(space, random_cells, seed=surroundings.seed)
    folder, part = surroundings.opened(), surroundings.part
    result = recorded_language_search(
        space, corpus, part("search", surroundings.seed), method=method, settings=settings
    )
    folder.write_genotype(result.genotype)
    networks: list[tuple[str, Genotype | None]] = [
        ("found", result.genotype),
        *((f"random_{index}", genotype) for index, genotype in enumerate(rivals, start=1)),
        ("LSTM", None),
    ]
    rows: list[LanguageRow] = []
    for index, (name, genotype) in enumerate(networks):
        size = hidden_size
        if genotype is None:
            size = hidden_size_for(rows[0].parameters, vocabulary_size=len(corpus.vocabulary))
        own = part(name, derive(surroundings.seed, "training", index) % 2**31)
        score = recorded_language_training(genotype, corpus, own, recipe=recipe, hidden_size=size, title=name)
        reached = score.test.perplexity, score.validation.perplexity
        rows.append(LanguageRow(name, genotype, *reached, parameters=score.parameters, seconds=score.seconds))
    found, *random, lstm = rows
    comparison = LanguageComparison(found, random, lstm, result.seconds, folder.path / "report.html")
    report_language_comparison(
        folder,
        found,
        random,
        others=[lstm],
        table=comparison.table(),
        groups=space.groups,
        history=result.history,
    )
    return comparison
