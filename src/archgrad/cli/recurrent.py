"""The commands for text, `archgrad search | train | demo recurrent`, and what `archgrad evaluate` says of a run."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from archgrad import methods, recipes
from archgrad.cli.options import (
    Flat,
    MethodName,
    RunOptions,
    prepared,
    read_genotype,
    recipe_choice,
    show_table,
    stored_options,
)
from archgrad.data.text import GRAMMAR, Corpus, Vocabulary, load_text
from archgrad.genotype import RECURRENT_CELL
from archgrad.language import Perplexity, evaluate, sample
from archgrad.language_experiment import (
    compare_language_models,
    recorded_language_search,
    recorded_language_training,
)
from archgrad.ops.dropout import Dropout
from archgrad.recipes import LanguageRecipe
from archgrad.runs import SavedLanguageModel
from archgrad.settings import TextSearchSettings
from archgrad.spaces import RecurrentCellSpace

LSTM = "LSTM"

if TYPE_CHECKING:
    LanguageRecipeChoice = LanguageRecipe
else:
    LanguageRecipeChoice = recipe_choice(recipes.LANGUAGE_RECIPES)


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """Which text; the vocabulary is that of its training part."""

    text: str = GRAMMAR  # grammar (embedded), or a path: folder with train, valid and test files, archive, text file
    level: str = "word"  # word, or character
    minimum_count: int = 1  # rarer tokens of the training text become <unk>
    vocabulary_size: int | None = None  # at most so many tokens; the rarer ones become <unk>
    limit: int | None = None  # use the first so many tokens for training, and a tenth of that for the other parts

    def load(self, seed: int, vocabulary: Vocabulary | None = None) -> Corpus:
        """Read the text, with its own vocabulary or a given one."""
        if vocabulary is not None:
            return load_text(self.text, level=vocabulary.level, vocabulary=vocabulary, seed=seed, limit=self.limit)
        return load_text(
            self.text,
            level=self.level,
            minimum_count=self.minimum_count,
            vocabulary_size=self.vocabulary_size,
            seed=seed,
            limit=self.limit,
        )


@dataclass(frozen=True, kw_only=True)
class RecurrentOptions:
    """The recurrent search space; the defaults are for small networks on a CPU, 300 units are the paper's."""

    hidden_size: int = 64  # units of the hidden state and of the embedding in the search
    nodes: int = RecurrentCellSpace.nodes  # states of the cell beside the initial one
    candidates: tuple[str, ...] = RecurrentCellSpace.candidates  # activations to choose from
    engine: str = RecurrentCellSpace.engine  # through_time, compiled (a minute to start), bundled, per_edge
    dropout: Dropout = field(
        default_factory=lambda: Dropout(output=0.2, hidden=0.0, cell_input=0.2, embedding=0.0)
    )  # in the search; the paper's are .75 .25 .75 .2 0

    def space(self, corpus: Corpus) -> RecurrentCellSpace:
        """The space for this text."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self)}
        return RecurrentCellSpace(vocabulary_size=len(corpus.vocabulary), **chosen)


def small_search() -> TextSearchSettings:
    """Settings for a small text and minutes on a CPU."""
    return TextSearchSettings(
        epochs=5, batch_size=32, learning_rate=10.0, final_learning_rate=10.0, logits_learning_rate=1e-2
    )


def announced(corpus: Corpus) -> Corpus:
    """The corpus, once its size and its unknown tokens are told."""
    unknown = corpus.unknown_shares
    print(
        f"text: {len(corpus.train):,} training, {len(corpus.validation):,} validation, {len(corpus.test):,} test tokens"
        f"; vocabulary {len(corpus.vocabulary):,}; <unk> {unknown['train']:.1%} of the training text, "
        f"{unknown['test']:.1%} of the test text"
    )
    return corpus


@dataclass(frozen=True, kw_only=True)
class SearchRecurrent:
    """Search for a recurrent cell on a text: decode a genotype, keep everything in a run folder."""

    method: MethodName = "darts-first-order"
    text: Annotated[TextOptions, Flat] = field(default_factory=TextOptions)
    space: Annotated[RecurrentOptions, Flat] = field(default_factory=RecurrentOptions)
    settings: Annotated[TextSearchSettings, Flat] = field(default_factory=small_search)
    run: Annotated[RunOptions, Flat] = field(default_factory=RunOptions)

    def __call__(self) -> None:
        command, surroundings = prepared(self, "search recurrent")
        corpus = announced(command.text.load(command.run.seed))
        result = recorded_language_search(
            command.space.space(corpus),
            corpus,
            surroundings,
            method=methods.by_name(command.method),
            settings=command.settings,
        )
        print(result.genotype)
        show_table([("search seconds", f"{result.seconds:.1f}"), ("report", str(surroundings.path / "report.html"))])


@dataclass(frozen=True, kw_only=True)
class TrainRecurrent:
    """Train the language model of a recurrent genotype, or an LSTM. The recipe is named last and has options."""

    genotype: str = "DARTS_V2"  # DARTS_V1, DARTS_V2, ENAS, LSTM, a JSON file, or the run folder of a search
    hidden_size: int = 64  # units of the hidden state and of the embedding
    text: Annotated[TextOptions, Flat] = field(default_factory=TextOptions)
    run: Annotated[RunOptions, Flat] = field(default_factory=RunOptions)
    recipe: LanguageRecipeChoice = field(default_factory=recipes.grammar)

    def __call__(self) -> None:
        command, surroundings = prepared(self, "train recurrent")
        genotype = None
        if command.genotype.upper() != LSTM:
            genotype = read_genotype(command.genotype, RECURRENT_CELL)
        corpus = announced(command.text.load(command.run.seed))
        score = recorded_language_training(
            genotype, corpus, surroundings, recipe=command.recipe, hidden_size=command.hidden_size
        )
        show_table(
            [
                *perplexities({"validation": score.validation, "test": score.test}),
                ("parameters", f"{score.parameters:,}"),
                ("train seconds", f"{score.seconds:.1f}"),
                ("report", str(surroundings.path / "report.html")),
            ]
        )


@dataclass(frozen=True, kw_only=True)
class DemoRecurrent:
    """Search a recurrent cell, train it, compare with random cells and an LSTM of the same size and budget, report."""

    method: MethodName = "darts-first-order"
    random_cells: int = 5  # random cells to compare with
    train_hidden_size: int = 64  # units of the networks that are trained
    text: Annotated[TextOptions, Flat] = field(default_factory=TextOptions)
    space: Annotated[RecurrentOptions, Flat] = field(default_factory=RecurrentOptions)
    search: TextSearchSettings = field(default_factory=small_search)
    recipe: LanguageRecipe = field(default_factory=recipes.grammar)
    run: Annotated[RunOptions, Flat] = field(default_factory=RunOptions)

    def __call__(self) -> None:
        command, surroundings = prepared(self, "demo recurrent")
        corpus = announced(command.text.load(command.run.seed))
        comparison = compare_language_models(
            command.space.space(corpus),
            corpus,
            surroundings,
            method=methods.by_name(command.method),
            settings=command.search,
            recipe=command.recipe,
            hidden_size=command.train_hidden_size,
            random_cells=command.random_cells,
        )
        show_table(comparison.table())


def perplexities(parts: dict[str, Perplexity]) -> list[tuple[str, str]]:
    """How well each part is predicted, as pairs of name and value."""
    return [
        *((f"{name} perplexity", f"{part.perplexity:.2f}") for name, part in parts.items()),
        *((f"{name} bits per token", f"{part.bits_per_token:.3f}") for name, part in parts.items()),
    ]


def show_language_model(
    folder: Path,
    saved: SavedLanguageModel,
    *,
    text: str | None,
    batch_size: int,
    length: int,
    prompt: str,
    temperature: float,
    device: str,
) -> None:
    """Evaluate a trained language model on its text or another one, and print what it continues the prompt with."""
    options, seed = stored_options(folder, "text", TextOptions)
    options = options if text is None else TextOptions(text=text)
    corpus = announced(options.load(seed, saved.vocabulary))
    continuation = sample(
        saved.network,
        saved.vocabulary,
        length=length,
        prompt=prompt,
        temperature=temperature,
        seed=seed,
        device=device,
    )
    parts = {"validation": corpus.validation, "test": corpus.test}
    found = {
        name: evaluate(saved.network, tokens, batch_size=batch_size, device=device) for name, tokens in parts.items()
    }
    show_table([*perplexities(found), ("test tokens", f"{found['test'].tokens:,}")])
    if length:
        print(f"\n{continuation}")
