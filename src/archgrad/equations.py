"""The whole job of finding an equation in a table: rows set aside, a fit, and a run folder that holds what was found.

config.json, environment.json   as in every run folder
equations.json                  the front: complexity, losses, formula, LaTeX, coefficients and genotype of each
genotype.json, model.json       the chosen equation, the estimator
pictures/, report.html
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sympy
from jaxtyping import Bool, Float
from matplotlib.figure import Figure

from archgrad.checks import share
from archgrad.data.columns import Columns
from archgrad.experiment import Surroundings
from archgrad.genotype import Genotype
from archgrad.report import (
    Equation,
    Picture,
    PlotMonitor,
    Report,
    Section,
    Table,
    draw_expression,
    draw_front,
    draw_law,
    draw_losses,
    draw_parity,
    r_squared,
    write_report,
)
from archgrad.runs import RunFolder, environment, read_json, rounds, write_json
from archgrad.seeding import derive
from archgrad.summary import save_pictures

SMALL = 20
"""Tables with fewer rows are used whole: too few would be left to find a law in, or to judge it by."""

PICTURE_SECONDS = 2.0  # between two pictures of a search that is under way

EQUATIONS = "equations.json"


@dataclass(frozen=True)
class Discovery:
    """What a search came to: the equations by ascending complexity, and what they predict.

    Arguments:
        data: the table.
        test: the rows that were set aside [rows].
        equations: the front.
        chosen: the place of the chosen one.
        predictions: of each equation for every row [equations, rows].
        losses: the best held-out loss after each round.
        seconds: of the search.
        candidates: graphs that were judged.
    """

    data: Columns
    test: Bool[np.ndarray, "rows"]
    equations: Sequence[Equation]
    chosen: int
    predictions: Float[np.ndarray, "equations rows"]
    losses: Sequence[float]
    seconds: float
    candidates: int

    @property
    def law(self) -> Equation:
        """The chosen equation."""
        return self.equations[self.chosen]

    @property
    def judged_on(self) -> str:
        """Which rows the scores are of."""
        return "test" if self.test.any() else "training"

    def score(self, place: int) -> float:
        """R² of an equation on the rows set aside, or on all rows if there are none."""
        rows = self.test if self.test.any() else ~self.test
        return r_squared(self.data.targets[rows], self.predictions[place][rows])

    def table(self) -> Table:
        """The front, a row for each equation."""
        header = ("", "complexity", "loss", "held-out loss", f"R² ({self.judged_on})", "formula")
        rows = [
            (
                "→" if place == self.chosen else "",
                equation.complexity,
                _short(equation.loss),
                _short(equation.validation_loss),
                _short(self.score(place), 6),
                str(equation),
            )
            for place, equation in enumerate(self.equations)
        ]
        return Table("Accuracy and complexity", header, rows)

    def key_numbers(self) -> list[tuple[str, str]]:
        """What the chosen equation is worth."""
        used = {str(symbol) for symbol in self.law.expression.free_symbols} & set(self.data.names)
        return [
            (f"R² ({self.judged_on} rows)", f"{self.score(self.chosen):.6g}"),
            ("held-out loss", f"{self.law.validation_loss:.3g}"),
            ("complexity", str(self.law.complexity)),
            ("columns used", f"{len(used)} of {len(self.data.names)}"),
            ("candidates judged", f"{self.candidates:,}"),
            ("seconds", f"{self.seconds:.1f}"),
        ]


def rows_set_aside(count: int, fraction: float, *, seed: int) -> Bool[np.ndarray, "rows"]:
    """Choose the rows of a table of `count` that only judge the result; none of a table with fewer than `SMALL`.

    Raises:
        ValueError: the fraction lies outside [0, 1).
    """
    share("test_fraction", fraction)
    chosen = np.zeros(count, dtype=bool)
    if count >= SMALL:
        order = np.random.default_rng(derive(seed, "rows set aside")).permutation(count)
        chosen[order[: round(fraction * count)]] = True
    return chosen


def recorded_equation(model: Any, data: Columns, surroundings: Surroundings, *, test_fraction: float) -> Discovery:
    """Fit an estimator to a table, and leave its equations, pictures and a report in the run folder.

    Arguments:
        model: the estimator; its `execution_monitor` is taken for the progress of the fit.
        data: the table.
        surroundings: the folder and what it is shown as.
        test_fraction: share of the rows that are set aside.

    Raises:
        ValueError: the fraction lies outside [0, 1), the folder holds files already, or the estimator refuses its
            parameters or the data; the folder is then as it was.
        KeyboardInterrupt: the fit was interrupted; the folder then holds the best equation so far.
    """
    test = rows_set_aside(len(data), test_fraction, seed=surroundings.seed)
    existed = surroundings.path.expanduser().exists()
    folder = RunFolder(surroundings.path)
    write_json(folder.configuration_path, dict(surroundings.configuration))
    write_json(folder.path / "environment.json", environment())
    pictures = folder.path / "pictures"
    pictures.mkdir()
    began = time.perf_counter()
    with rounds("equation", quiet=surroundings.quiet) as display:
        watch = _Watch([display, PlotMonitor(pictures / "losses.png", every=PICTURE_SECONDS)])
        model.set_params(execution_monitor=watch)
        try:
            model.fit(data.frame(~test), data.targets[~test])
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(_keep_best(folder, data, watch.last)) from interrupt
        except ValueError:
            if watch.last is None:
                _clear(folder.path, remove=not existed)
            raise
        finally:
            model.set_params(execution_monitor=None)
    seconds = time.perf_counter() - began
    equations = list(model.equations_)
    with np.errstate(all="ignore"):
        predictions = np.stack([np.asarray(equation(data.inputs), dtype=float) for equation in equations])
    chosen = next(place for place, equation in enumerate(equations) if equation is model.equation_)
    losses, candidates = ([], 0) if watch.last is None else (list(watch.last.losses), watch.last.candidates)
    found = Discovery(data, test, equations, chosen, predictions, losses, seconds, candidates)
    scores = [found.score(place) for place in range(len(equations))]
    _write_equations(folder, data, equations, chosen=chosen, scores=scores)
    if hasattr(model, "save"):
        model.save(folder.path / "model.json")
    report_equation(folder, found)
    return found


class _Watch:
    """An `execution_monitor` that passes on what it is told, and remembers the last of it."""

    def __init__(self, monitors: Sequence[Callable[[Any], None]]) -> None:
        self.monitors = monitors
        self.last: Any = None

    def __call__(self, progress: Any) -> None:
        self.last = progress
        for monitor in self.monitors:
            monitor(progress)


def _clear(path: Path, *, remove: bool) -> None:
    """Take back what was written to a folder that was empty, or was not there."""
    for name in ("config.json", "environment.json"):
        (path / name).unlink()
    (path / "pictures").rmdir()
    if remove:
        path.rmdir()


def _keep_best(folder: RunFolder, data: Columns, progress: Any) -> str:
    """Write the best equation of an interrupted search; return what to tell the user."""
    best = None if progress is None else progress.best
    if best is None:
        return "interrupted before there was an equation."
    _write_equations(folder, data, [best], chosen=0, scores=[math.nan])
    law = f"{data.target} = {best}"
    return f"interrupted; the best equation so far, also in {folder.path / EQUATIONS}, is {law}"


def _write_equations(
    folder: RunFolder, data: Columns, equations: Sequence[Equation], *, chosen: int, scores: Sequence[float]
) -> None:
    rows = [
        {
            "complexity": equation.complexity,
            "loss": _finite(equation.loss),
            "validation_loss": _finite(equation.validation_loss),
            "r2": _finite(score),
            "formula": str(equation),
            "expression": sympy.sstr(equation.expression),
            "latex": equation.latex,
            "columns": list(equation.names),
            "coefficients": [_finite(value) for value in equation.coefficients],
            "genotype": json.loads(equation.genotype.to_json()),
        }
        for equation, score in zip(equations, scores, strict=True)
    ]
    content = {"target": data.target, "columns": list(data.names), "chosen": chosen, "equations": rows}
    write_json(folder.path / EQUATIONS, content)
    folder.write_genotype(equations[chosen].genotype)


def _finite(value: float) -> float | None:
    """A number as JSON has it."""
    return float(value) if math.isfinite(value) else None


def _short(value: float, digits: int = 4) -> float | int:
    """A number of few digits, as a table shows it."""
    short = float(f"{float(value):.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e9 else short


def report_equation(folder: RunFolder, found: Discovery) -> None:
    """Write the pictures of a search for an equation and its report into the folder."""
    data, law = found.data, found.law
    labels = ["test" if flag else "training" for flag in found.test]
    order = np.argsort(found.test, kind="stable")  # test rows are drawn above the others
    prediction = found.predictions[found.chosen]
    coefficients = [float(value) for value in law.coefficients]
    graph = draw_expression(law.genotype, law.names, coefficients, target=data.target)
    pictures = {
        "law": Picture("The chosen equation", draw_law(law.expression, data.target)),
        "graph": Picture("The graph of the chosen equation", graph),
        "parity": Picture(
            "Prediction against truth",
            draw_parity(
                data.targets[order], prediction[order], labels=[labels[row] for row in order], target=data.target
            ),
        ),
        "front": Picture("The best equation of each complexity", draw_front(found.equations, law)),
        "losses": Picture("Held-out loss of the best equation after each round", draw_losses(found.losses)),
    }
    save_pictures(folder, pictures)
    texts = [("As text", f"{data.target} = {law}"), ("In LaTeX", law.latex)]
    report = Report(
        title=f"An equation for {data.target}",
        summary=found.key_numbers(),
        tables=[found.table()],
        pictures=[pictures[name] for name in ("parity", "front", "losses")],
        genotype=law.genotype,
        configuration=read_json(folder.configuration_path),
        environment=read_json(folder.path / "environment.json"),
        sections=[Section("Equation", [pictures["law"]], texts)],
        drawing=pictures["graph"],
        pictures_title="Fit",
    )
    write_report(folder.path / "report.html", report)


def draw_found(path: Path) -> Figure:
    """Draw the graph of the equation that the run in a folder chose, with the names of its columns.

    Raises:
        ValueError: the folder's equations are broken.
        FileNotFoundError: it has none.
    """
    content = read_json(path / EQUATIONS)
    try:
        chosen = content["equations"][content["chosen"]]
        genotype = Genotype.from_json(json.dumps(chosen["genotype"]))
        return draw_expression(genotype, chosen["columns"], chosen["coefficients"], target=content["target"])
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"{path / EQUATIONS}: broken, missing or malformed entry ({error!r}).") from error
