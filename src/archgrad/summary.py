"""From a run folder's contents to its pictures and its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from archgrad.arch import LogitGroup
from archgrad.genotype import Genotype
from archgrad.loop import Record
from archgrad.report import (
    Report,
    Table,
    draw_cell,
    draw_comparison,
    draw_history,
    draw_mixture,
    save_figure,
    write_report,
)
from archgrad.runs import RunFolder, read_json
from archgrad.training import Score


@dataclass(frozen=True)
class ComparisonRow:
    """A network of a comparison: what it is called, its genotype, and what its training came to."""

    name: str
    genotype: Genotype
    accuracy: float
    parameters: int
    seconds: float


def report_search(
    folder: RunFolder, groups: Sequence[LogitGroup], history: Sequence[Record], *, genotype: Genotype
) -> None:
    """Write the pictures of a search and its report into the folder: cells, mixtures over time, curves."""
    figures = _save(folder, {**_cells(genotype), **_search_curves(groups, history)})
    last = history[-1]
    summary = [(name.replace("_", " "), f"{last[name]:.4g}") for name in last if name.endswith(("_accuracy", "_loss"))]
    shown = [(caption, figure) for name, (caption, figure) in figures.items() if not name.startswith("cell_")]
    _write(folder, "Architecture search", summary, figures=shown, tables=(), genotype=genotype)


def report_training(folder: RunFolder, score: Score, *, genotype: Genotype) -> None:
    """Write the curves of a training and its report into the folder."""
    figures = _save(folder, {**_cells(genotype), "curves": ("Loss and accuracy", draw_history(score.history))})
    summary = [("parameters", f"{score.parameters:,}"), ("seconds", f"{score.seconds:.1f}")]
    if score.accuracy is not None:
        summary.insert(0, ("test accuracy", f"{score.accuracy:.2%}"))
    _write(folder, "Training from scratch", summary, figures=[figures["curves"]], tables=(), genotype=genotype)


def report_comparison(
    folder: RunFolder,
    rows: Sequence[ComparisonRow],
    table: Sequence[tuple[str, str]],
    *,
    groups: Sequence[LogitGroup],
    history: Sequence[Record],
) -> None:
    """Write the report of a whole job: the found network beside the random ones, and how it was found."""
    found, *others = rows
    comparison = draw_comparison(found.accuracy, [row.accuracy for row in others], metric="test accuracy")
    pictures = {
        **_cells(found.genotype),
        "comparison": ("The found network beside random cells of its size", comparison),
        **_search_curves(groups, history),
    }
    figures = _save(folder, pictures)
    shown = [(caption, figure) for name, (caption, figure) in figures.items() if not name.startswith("cell_")]
    details = Table(
        "Networks",
        ("network", "test accuracy", "parameters", "train seconds"),
        [(row.name, f"{row.accuracy:.2%}", row.parameters, round(row.seconds, 1)) for row in rows],
    )
    summary = [(name, value) for name, value in table if name != "report"]
    _write(folder, "Search, training and baseline", summary, figures=shown, tables=(details,), genotype=found.genotype)


def _cells(genotype: Genotype) -> dict[str, tuple[str, Figure]]:
    return {f"cell_{cell.name}": (f"The {cell.name} cell", draw_cell(cell)) for cell in genotype.cells}


def _search_curves(groups: Sequence[LogitGroup], history: Sequence[Record]) -> dict[str, tuple[str, Figure]]:
    figures = {"curves": ("Loss and accuracy of the search", draw_history(history))}
    for group in groups:
        mixtures = [np.array(record["mixture"][group.name]) for record in history]
        figures[f"mixture_{group.name}"] = (
            f"Mixture weights of the {group.name} cell, by edge",
            draw_mixture(mixtures, group),
        )
    return figures


def _save(folder: RunFolder, figures: dict[str, tuple[str, Figure]]) -> dict[str, tuple[str, Figure]]:
    pictures = folder.path / "pictures"
    pictures.mkdir(exist_ok=True)
    for name, (_, figure) in figures.items():
        save_figure(figure, pictures / f"{name}.png")
    return figures


def _write(
    folder: RunFolder,
    title: str,
    summary: Sequence[tuple[str, str]],
    *,
    figures: Sequence[tuple[str, Figure]],
    tables: Sequence[Table],
    genotype: Genotype,
) -> None:
    configuration: Mapping[str, Any] = read_json(folder.configuration_path)
    report = Report(
        title=title,
        summary=summary,
        tables=tables,
        figures=figures,
        genotype=genotype,
        configuration=configuration,
        environment=read_json(folder.path / "environment.json"),
    )
    write_report(folder.path / "report.html", report)
