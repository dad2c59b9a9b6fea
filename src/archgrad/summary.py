"""From a run folder's contents to its pictures and its report."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from archgrad.arch import LogitGroup
from archgrad.files import write_atomically
from archgrad.genotype import Genotype
from archgrad.loop import Record
from archgrad.report import (
    Picture,
    Report,
    Section,
    Table,
    draw_cell,
    draw_comparison,
    draw_diagnostics,
    draw_history,
    draw_mixture,
    explain_diagnostics,
    write_report,
)
from archgrad.report.curves import PARTS, measured
from archgrad.runs import RunFolder, read_json
from archgrad.spaces.trellis.plan import GROUP as PATH_GROUP
from archgrad.training import Score

LANGUAGE = ("loss", "perplexity")
"""What the curves of a language model show."""


DIAGNOSTICS = "diagnostics"
"""The name of the picture that has a section of its own in the report of a search."""


@dataclass(frozen=True)
class ComparisonRow:
    """A network of a comparison: what it is called, its genotype, and what its training came to."""

    name: str
    genotype: Genotype
    accuracy: float
    parameters: int
    seconds: float


@runtime_checkable
class Evaluated(Protocol):
    """How well a language model predicts a text."""

    @property
    def perplexity(self) -> float: ...
    @property
    def bits_per_token(self) -> float: ...


@runtime_checkable
class LanguageScore(Protocol):
    """What the training of a language model came to: its evaluations (None without that text), size, time, epochs."""

    @property
    def validation(self) -> Evaluated | None: ...
    @property
    def test(self) -> Evaluated | None: ...
    @property
    def parameters(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def history(self) -> Sequence[Record]: ...


@dataclass(frozen=True)
class LanguageRow:
    """A language model of a comparison; without a genotype where it has no cell that was searched, such as an LSTM."""

    name: str
    genotype: Genotype | None
    test_perplexity: float
    validation_perplexity: float
    parameters: int
    seconds: float


def report_search(
    folder: RunFolder,
    groups: Sequence[LogitGroup],
    history: Sequence[Record],
    *,
    genotype: Genotype,
    quantities: Sequence[str] = ("loss", "accuracy"),
    stopped_at: int | None = None,
) -> None:
    """Write the pictures of a search and its report into the folder: cells, mixtures over time, curves, diagnostics.

    `quantities` are those of `draw_history`; a perplexity that the records lack is the exponential of the loss.
    `stopped_at` is the number of the epoch that a stopping rule took the architecture from, if one did.
    """
    curves = search_curves(groups, history, genotype=genotype, quantities=quantities, stopped_at=stopped_at)
    pictures = save_pictures(folder, {**cell_pictures(genotype), **curves})
    summary = last_metrics(history[-1], quantities)
    write_page(folder, "Architecture search", summary, pictures=pictures, genotype=genotype)


def report_training(folder: RunFolder, score: Score, *, genotype: Genotype) -> None:
    """Write the curves of a training and its report into the folder."""
    pictures = save_pictures(
        folder, {**cell_pictures(genotype), "curves": Picture("Loss and accuracy", draw_history(score.history))}
    )
    summary = [("parameters", f"{score.parameters:,}"), ("seconds", f"{score.seconds:.1f}")]
    if score.accuracy is not None:
        summary.insert(0, ("test accuracy", f"{score.accuracy:.2%}"))
    write_page(folder, "Training from scratch", summary, pictures=pictures, genotype=genotype)


def report_language_training(
    folder: RunFolder,
    score: LanguageScore,
    *,
    genotype: Genotype | None,
    sample: str = "",
    tables: Sequence[Table] = (),
) -> None:
    """Write the curves of a language model's training and its report into the folder.

    Args:
        folder: of the run, with its configuration and environment.
        score: what the training came to; see `LanguageScore`.
        genotype: of the cell, None for a network without one, such as an LSTM.
        sample: text that the model made up, printed as it is; "" leaves it out.
        tables: shown below the curves.
    """
    curves = draw_history(score.history, LANGUAGE)
    pictures = save_pictures(
        folder, {**cell_pictures(genotype), "curves": Picture("Loss in nats per token, and perplexity", curves)}
    )
    parts = [
        (name, part) for name, part in (("test", score.test), ("validation", score.validation)) if part is not None
    ]
    summary = [
        *((f"{name} perplexity", f"{part.perplexity:.2f}") for name, part in parts),
        *((f"{name} bits per token", f"{part.bits_per_token:.3f}") for name, part in parts),
        ("parameters", f"{score.parameters:,}"),
        ("seconds", f"{score.seconds:.1f}"),
    ]
    sections = (
        [Section("Sample", texts=[("Text that the trained model continued by itself", sample)])] if sample else ()
    )
    write_page(
        folder,
        "Language model, trained from scratch",
        summary,
        pictures=pictures,
        tables=tables,
        genotype=genotype,
        sections=sections,
    )


def report_comparison(
    folder: RunFolder,
    rows: Sequence[ComparisonRow],
    table: Sequence[tuple[str, str]],
    *,
    groups: Sequence[LogitGroup],
    history: Sequence[Record],
    stopped_at: int | None = None,
) -> None:
    """Write the report of a whole job: the found network beside the random ones, and how it was found.

    `stopped_at` is that of `report_search`.
    """
    found, *others = rows
    comparison = draw_comparison(found.accuracy, [row.accuracy for row in others], metric="test accuracy")
    pictures = {
        **cell_pictures(found.genotype),
        "comparison": Picture("The found network beside random cells of its size", comparison),
        **search_curves(groups, history, genotype=found.genotype, stopped_at=stopped_at),
    }
    save_pictures(folder, pictures)
    details = Table(
        "Networks",
        ("network", "test accuracy", "parameters", "train seconds"),
        [(row.name, f"{row.accuracy:.2%}", row.parameters, round(row.seconds, 1)) for row in rows],
    )
    write_page(
        folder,
        "Search, training and baseline",
        [(name, value) for name, value in table if name != "report"],
        pictures=pictures,
        tables=(details,),
        genotype=found.genotype,
    )


def report_language_comparison(
    folder: RunFolder,
    found: LanguageRow,
    random: Sequence[LanguageRow],
    *,
    others: Sequence[LanguageRow] = (),
    table: Sequence[tuple[str, str]],
    groups: Sequence[LogitGroup],
    history: Sequence[Record],
) -> None:
    """Write the report of a whole job on text: the found cell beside random ones and others, and how it was found.

    Args:
        folder: of the job, with its configuration and environment.
        found: the network of the found cell.
        random: the networks of the random cells, drawn as a cloud with mean ± standard deviation.
        others: further networks, such as an LSTM, drawn in a row each; their names differ.
        table: the key numbers as (name, value); one called report is left out, as the page is the report.
        groups: of the search.
        history: of the search, one record per epoch.

    Raises:
        ValueError: the found network has no genotype.
    """
    if found.genotype is None:
        raise ValueError(f"found: {found.name!r} has no genotype; allowed are networks of a found cell.")
    comparison = draw_comparison(
        found.test_perplexity,
        [row.test_perplexity for row in random],
        metric="test perplexity",
        others={row.name: row.test_perplexity for row in others},
    )
    pictures = {
        **cell_pictures(found.genotype),
        "comparison": Picture("The found cell beside random cells and other networks, lower is better", comparison),
        **search_curves(groups, history, genotype=found.genotype, quantities=LANGUAGE),
    }
    save_pictures(folder, pictures)
    details = Table(
        "Networks",
        ("network", "test perplexity", "validation perplexity", "parameters", "train seconds"),
        [
            (
                row.name,
                f"{row.test_perplexity:.2f}",
                f"{row.validation_perplexity:.2f}",
                row.parameters,
                round(row.seconds, 1),
            )
            for row in (found, *random, *others)
        ],
    )
    write_page(
        folder,
        "Search, training and baselines of a recurrent cell",
        [(name, value) for name, value in table if name != "report"],
        pictures=pictures,
        tables=(details,),
        genotype=found.genotype,
    )


def last_metrics(record: Record, quantities: Sequence[str]) -> list[tuple[str, str]]:
    """The key numbers of a search's last epoch: losses and accuracies that are there, perplexities by their losses."""
    summary = [
        (name.replace("_", " "), f"{record[name]:.4g}")
        for name in record
        if name.endswith(("_accuracy", "_loss")) and not name.startswith("gap_")
    ]
    if "perplexity" in quantities:
        values = {part: measured(record, part, "perplexity") for part in PARTS}
        summary += [(f"{part} perplexity", f"{value:.1f}") for part, value in values.items() if not math.isnan(value)]
    return summary


def cell_pictures(genotype: Genotype | None) -> dict[str, Picture]:
    """A picture of each cell, by name; none without a genotype."""
    if genotype is None:
        return {}
    return {
        f"cell_{cell.name}": Picture(f"The {cell.name} cell", draw_cell(cell, genotype.space))
        for cell in genotype.cells
    }


def search_curves(
    groups: Sequence[LogitGroup],
    history: Sequence[Record],
    *,
    genotype: Genotype,
    quantities: Sequence[str] = ("loss", "accuracy"),
    stopped_at: int | None = None,
) -> dict[str, Picture]:
    """The curves of a search, the mixture weights of each group, and its diagnostics, by name.

    Records without any of the diagnostics have no such picture. `stopped_at` is that of `draw_diagnostics`.
    """
    caption = f"{' and '.join(quantities).capitalize()} of the search"
    pictures = {"curves": Picture(caption, draw_history(history, quantities))}
    for group in groups:
        mixtures = [np.array(record["mixture"][group.name]) for record in history]
        pictures[f"mixture_{group.name}"] = Picture(_mixture_caption(group, genotype), draw_mixture(mixtures, group))
    lesson = explain_diagnostics(history, groups, stopped_at=stopped_at)
    if lesson:
        pictures[DIAGNOSTICS] = Picture(lesson, draw_diagnostics(history, groups, stopped_at=stopped_at))
    return pictures


def _mixture_caption(group: LogitGroup, genotype: Genotype) -> str:
    if group.name == PATH_GROUP:
        return "Mixture weights of the trellis, by node and move"
    edges = group.role == "edges"
    name = group.name.removesuffix("_edges") if edges else group.name
    cell = genotype.cells[0].name if len(genotype.cells) == 1 else name
    whose = f"the {cell} cell" if cell != "cell" else "the cell"
    return f"Weights of the edges of {whose}, by node" if edges else f"Mixture weights of {whose}, by edge"


def save_pictures(folder: RunFolder, pictures: dict[str, Picture]) -> dict[str, Picture]:
    """Write each picture to the run's folder of them under its name, and return them all."""
    path = folder.path / "pictures"
    path.mkdir(exist_ok=True)
    for name, picture in pictures.items():
        write_atomically(path / f"{name}.png", picture.png)
    return pictures


def write_page(
    folder: RunFolder,
    title: str,
    summary: Sequence[tuple[str, str]],
    *,
    pictures: Mapping[str, Picture],
    genotype: Genotype | None,
    tables: Sequence[Table] = (),
    sections: Sequence[Section] = (),
    pictures_title: str = "Curves",
) -> None:
    """Write the report of a run, with its configuration and environment, into its folder.

    Of the `pictures` by name, those of cells are left to the page, which draws the genotype itself,
    and diagnostics have a section of their own; all others stand under `pictures_title`.
    """
    shown = [picture for name, picture in pictures.items() if not name.startswith("cell_") and name != DIAGNOSTICS]
    report = Report(
        title=title,
        summary=summary,
        tables=tables,
        pictures=shown,
        genotype=genotype,
        configuration=read_json(folder.configuration_path),
        environment=read_json(folder.path / "environment.json"),
        sections=sections,
        pictures_title=pictures_title,
        details=[Section("Diagnostics", [pictures[DIAGNOSTICS]])] if DIAGNOSTICS in pictures else [],
    )
    write_report(folder.path / "report.html", report)
