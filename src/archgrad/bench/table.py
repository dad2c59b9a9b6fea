"""Results of `archgrad bench equations`, as a line, as tables on the screen and in Markdown."""

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

YES, NO = "✓", "·"
LAW_WIDTH = 60  # characters of a law on the screen
SUMMARY = ("γ", "trials", "symbolic", "accurate", "median s", "median size", "killed", "failed")
PROBLEM = ("problem", "γ", "seed", "symbolic", "accurate", "R²", "size", "s", "law")


@dataclass(frozen=True)
class TrialResult:
    """What became of one trial; a trial that was killed or failed has an error and no law."""

    name: str
    noise: float
    seed: int
    strategy: str
    symbolic: bool = False
    evidence: str = ""  # for the symbolic solution, see `archgrad.bench.symbolic`
    accurate: bool = False
    r2: float | None = None
    size: int | None = None  # nodes of the law's tree
    seconds: float = 0.0
    law: str | None = None
    timed_out: bool = False
    error: str | None = None

    @property
    def key(self) -> tuple[str, float, int]:
        """What tells it from the others of a run."""
        return self.name, self.noise, self.seed

    @property
    def said(self) -> str:
        """The law with constants of six digits, or what went wrong."""
        if self.law is None:
            return self.error or ""
        return re.sub(r"\d+\.\d+(e[-+]?\d+)?", lambda number: f"{float(number[0]):.6g}", self.law)


def one_line(result: TrialResult) -> str:
    """A result in a line of text."""
    marks = [word for word, holds in (("symbolic", result.symbolic), ("accurate", result.accurate)) if holds]
    state = "error" if result.error else ", ".join(marks) or "not found"
    return f"{result.name} γ={result.noise:g} seed {result.seed}: {state}, {result.seconds:.1f} s, {result.said}"


def summary_rows(results: Sequence[TrialResult]) -> list[tuple[str, ...]]:
    """One row for each level of noise; rates are of all trials, sizes of those that returned a law."""
    rows = []
    for level in sorted({result.noise for result in results}):
        chosen = [result for result in results if result.noise == level]
        sizes = [result.size for result in chosen if result.size is not None]
        killed = sum(result.timed_out for result in chosen)
        rows.append(
            (
                f"{level:g}",
                str(len(chosen)),
                f"{statistics.mean(result.symbolic for result in chosen):.1%}",
                f"{statistics.mean(result.accurate for result in chosen):.1%}",
                f"{statistics.median(result.seconds for result in chosen):.1f}",
                f"{statistics.median(sizes):g}" if sizes else "–",
                str(killed),
                str(sum(result.error is not None for result in chosen) - killed),
            )
        )
    return rows


def problem_rows(results: Sequence[TrialResult]) -> list[tuple[str, ...]]:
    """One row for each result."""
    return [
        (
            result.name,
            f"{result.noise:g}",
            str(result.seed),
            YES if result.symbolic else NO,
            YES if result.accurate else NO,
            "–" if result.r2 is None else f"{result.r2:.6f}",
            "–" if result.size is None else str(result.size),
            f"{result.seconds:.1f}",
            result.said,
        )
        for result in results
    ]


def summary_table(results: Sequence[TrialResult]) -> Table:
    """The rates of each level of noise, for the screen."""
    table = Table(title=f"equations found, {results[0].strategy} search")
    for heading in SUMMARY:
        table.add_column(heading, justify="right")
    for row in summary_rows(results):
        table.add_row(*row)
    return table


def problem_table(results: Sequence[TrialResult]) -> Table:
    """Each result, for the screen; long laws are cut."""
    table = Table(box=None, pad_edge=False)
    for heading in PROBLEM:
        table.add_column(heading, no_wrap=True, justify="left" if heading in ("problem", "law") else "right")
    for *cells, said in problem_rows(results):
        first = (said.splitlines() or [""])[0]
        cut = first if len(first) <= LAW_WIDTH else f"{first[: LAW_WIDTH - 1]}…"
        table.add_row(*(Text(cell) for cell in (*cells, cut)))
    return table


def markdown(results: Sequence[TrialResult]) -> str:
    """Both tables in Markdown, laws whole."""
    parts = [f"# Equations found, {results[0].strategy} search"]
    for headings, rows in ((SUMMARY, summary_rows(results)), (PROBLEM, problem_rows(results))):
        lines = [headings, ("---",) * len(headings), *rows]
        parts.append("\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines))
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("*", "\\*")
