"""Fitted estimators as JSON: arguments, equations and what their predictions need, without pickle and without eval."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sympy

from archgrad.discovery.equation import Equation, Equations
from archgrad.discovery.snap import CONSTANTS
from archgrad.estimators.targets import Targets
from archgrad.files import write_atomically
from archgrad.genotype import Genotype
from archgrad.ops.symbolic import PRIMITIVES, Primitive

FORMAT = "archgrad.regressor"
VERSION = 1


def write(estimator: Any, path: Path) -> None:
    """Write a fitted estimator atomically."""
    labels = estimator.targets_.labels
    document = {
        "format": FORMAT,
        "version": VERSION,
        "arguments": {k: v for k, v in estimator.get_params().items() if _plain(v)},
        "primitives": [p if isinstance(p, str) else p.name for p in estimator.primitives],
        "names": list(estimator.names_),
        "named": hasattr(estimator, "feature_names_in_"),
        "fronts": [[_equation(equation) for equation in front] for front in estimator._fronts()],
        "chosen": [_equation(equation) for equation in estimator._all_chosen()],
        "first": [_equation(equation) for equation in estimator.first_],
        "constants": estimator.constants_,
        "draws": estimator.draws_,
        "seed": estimator.plan_.seed,
        "targets": {
            "kind": estimator.targets_.kind,
            "single": estimator.targets_.single,
            "reference": estimator.targets_.reference,
            "outputs": estimator.targets_.values.shape[1],
            "labels": None if labels is None else [labels.dtype.str, labels.tolist()],
        },
    }
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def read(kind: type, path: Path, primitives: Sequence[str | Primitive]) -> Any:
    """Build an estimator from what `write` wrote.

    Raises:
        ValueError: the file is something else, of a newer version, or needs primitives that were not given.
    """
    try:
        document = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error}).") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"{path}: not a saved DARTSRegressor, its 'format' is not {FORMAT!r}.")
    if document["version"] > VERSION:
        raise ValueError(f"{path}: version {document['version']} is newer than this archgrad reads ({VERSION}).")
    own = {primitive.name: primitive for primitive in primitives if isinstance(primitive, Primitive)}
    chosen = [own.get(name, name) for name in document["primitives"]]
    missing = [name for name in chosen if isinstance(name, str) and name not in PRIMITIVES]
    if missing:
        raise ValueError(f"{path}: needs the primitives {missing} of the user's own; give them as `primitives`.")
    estimator = kind(**{**document["arguments"], "primitives": tuple(chosen)})
    names = document["names"]
    estimator.n_features_in_ = len(names)
    if document["named"]:
        estimator.feature_names_in_ = np.array(names, dtype=object)
    estimator.names_ = tuple(names)
    estimator.plan_ = estimator._plan(seed=document["seed"])
    saved = document["targets"]
    labels = None if saved["labels"] is None else np.array(saved["labels"][1], dtype=np.dtype(saved["labels"][0]))
    empty = np.empty((0, saved["outputs"]))
    estimator.targets_ = Targets(saved["kind"], empty, saved["single"], labels, saved["reference"])
    if labels is not None:
        estimator.classes_ = labels
    custom = estimator.plan_.custom
    estimator.constants_, estimator.draws_ = document["constants"], document["draws"]
    estimator.first_ = [_read(item, custom) for item in document["first"]]
    fronts = [Equations([_read(item, custom) for item in front]) for front in document["fronts"]]
    estimator._set(fronts, [_read(item, custom) for item in document["chosen"]])
    return estimator


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _equation(equation: Equation) -> dict[str, Any]:
    return {
        "complexity": equation.complexity,
        "loss": equation.loss,
        "validation_loss": equation.validation_loss,
        "validation_error": equation.validation_error,
        "genotype": json.loads(equation.genotype.to_json()),
        "coefficients": list(equation.coefficients),
        "exact": {str(place): _exact(number) for place, number in equation.exact.items()},
        "names": list(equation.names),
        "columns": list(equation.columns),
        "signs": list(equation.signs),
        "link": equation.link,
        "offset": equation.offset,
    }


def _exact(number: sympy.Expr) -> list[Any]:
    """An exact number as [numerator, denominator, constant]."""
    for name, constant in CONSTANTS.items():
        ratio: Any = sympy.sympify(number) / constant
        if ratio.is_Rational:
            return [int(ratio.p), int(ratio.q), name]
    raise ValueError(f"coefficient {number} is no fraction of a known constant.")


def _read(item: dict[str, Any], custom: Any) -> Equation:
    exact = {
        int(place): sympy.Rational(numerator, denominator) * CONSTANTS[name]
        for place, (numerator, denominator, name) in item["exact"].items()
    }
    return Equation.written(
        genotype=Genotype.from_json(json.dumps(item["genotype"])),
        coefficients=tuple(item["coefficients"]),
        exact=exact,
        losses=(item["loss"], item["validation_loss"], item["validation_error"]),
        names=tuple(item["names"]),
        columns=tuple(item["columns"]),
        signs=tuple(item["signs"]),
        link=item["link"],
        offset=item["offset"],
        primitives=custom,
    )
