"""The command `equation`: find the law behind a table of numbers."""

import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from archgrad.checks import share
from archgrad.cli.configuration import to_plain
from archgrad.cli.estimator import options_of
from archgrad.cli.options import Flat
from archgrad.data.columns import read_columns
from archgrad.equations import SMALL, Discovery, recorded_equation
from archgrad.estimators import DARTSRegressor
from archgrad.experiment import Surroundings

OWN = ("random_state", "execution_monitor", "output_type", "warm_start")
"""Parameters of the estimator that are the command's: it has a seed, shows progress, and fits one column of numbers."""

if TYPE_CHECKING:
    EstimatorOptions = Any
else:
    EstimatorOptions = options_of(DARTSRegressor, name="EstimatorOptions", without=OWN)


@dataclass(frozen=True, kw_only=True)
class EquationRun:
    """Where the run is kept and how it is shown. A fit cannot be resumed: it is short, and its model is kept."""

    out: Path | None = None  # run folder to make; by default runs/equation-<date>-<time>
    seed: int = 0  # everything random follows from it
    quiet: bool = False  # plain lines instead of one that changes


@dataclass(frozen=True, kw_only=True)
class Equation:
    """Find equations for one column of a table from the others, by ascending complexity, and choose one."""

    data: tyro.conf.Positional[Path]  # CSV, TSV or white-space separated file with a header and numbers
    target: str | None = None  # column to explain; by default the last one
    columns: tuple[str, ...] = ()  # columns to explain it by; by default all others
    test_fraction: float = 0.25  # share of the rows set aside, which only judge the result (none of fewer than 20 rows)
    run: Annotated[EquationRun, Flat] = field(default_factory=EquationRun)
    estimator: Annotated[EstimatorOptions, Flat] = field(default_factory=EstimatorOptions)

    def __call__(self) -> None:
        share("test_fraction", self.test_fraction)
        data = read_columns(self.data, target=self.target, columns=self.columns)
        options = {option.name: getattr(self.estimator, option.name) for option in fields(self.estimator)}
        model = DARTSRegressor(**options, random_state=self.run.seed)
        path = self.run.out or Path("runs") / f"equation-{time.strftime('%Y%m%d-%H%M%S')}"
        print(f"run folder: {path}")
        if len(data) < SMALL:
            print(f"{self.data}: has {len(data)} rows only; none is set aside as a test")
        found = recorded_equation(model, data, self.surroundings(path), test_fraction=self.test_fraction)
        print("\n".join(result_lines(found)))
        print(f"report  {path / 'report.html'}")

    def surroundings(self, path: Path) -> Surroundings:
        """What surrounds the fit; the configuration holds what its result depends on."""
        plain = to_plain(self)
        configuration = {"command": "equation", **plain, "run": {"seed": self.run.seed}}
        return Surroundings(path=path, configuration=configuration, seed=self.run.seed, quiet=self.run.quiet)


def result_lines(found: Discovery) -> list[str]:
    """The front as a table, the chosen equation as text and in LaTeX, and what it is worth."""
    table = found.table()
    rows = [[str(cell) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.header) - 1)]
    lines = [
        "  ".join([*(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]
    law, target = found.law, found.data.target
    key = [("equation", f"{target} = {law}"), ("LaTeX", law.latex), *found.key_numbers()]
    width = max(len(name) for name, _ in key)
    return ["", *lines, "", *(f"{name:<{width}}  {value}" for name, value in key)]
