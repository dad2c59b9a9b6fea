"""Options are made from an estimator's signature, whose defaults and meanings they keep."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Literal, get_args

import pytest
import tyro

from archgrad.cli.estimator import meanings, options_of


class Estimator:
    """Estimates.

    Arguments:
        rounds: how often,
            at most.
        rate, decay,
        share: three numbers.
        names: what may be
            chosen.

    Raises:
        rounds: not this.
    """

    def __init__(
        self,
        rounds: int | None = 3,
        *,
        rate: float = 1e-3,
        decay: float = 0.0,
        share: float | None = None,
        names: Sequence[str | object] = ("a", "b"),
        rule: str | int = "best",
        kind: Literal["x", "y"] = "x",
        flag: bool = False,
        monitor: Callable[[Any], None] | None = None,
        state: Any = None,
        objects: tuple[object, ...] = (1.5,),
    ) -> None: ...


def test_defaults_are_those_of_the_signature():
    options = options_of(Estimator, name="Options", without=["decay"])()
    assert {field.name: getattr(options, field.name) for field in fields(options)} == {
        "rounds": 3,
        "rate": 1e-3,
        "share": None,
        "names": ("a", "b"),
        "rule": "best",
        "kind": "x",
        "flag": False,
    }


def test_meanings_are_those_of_the_docstring():
    assert meanings(Estimator) == {
        "rounds": "how often, at most",
        "rate": "three numbers",
        "decay": "three numbers",
        "share": "three numbers",
        "names": "what may be chosen",
    }
    kinds = {field.name: get_args(field.type) for field in fields(options_of(Estimator, name="Options"))}
    assert kinds["names"][1].help == "what may be chosen"
    assert kinds["flag"][1].help == "parameter of Estimator"


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--rounds", "None"], "rounds", None),
        (["--rounds", "7"], "rounds", 7),
        (["--share", "0.5"], "share", 0.5),
        (["--names", "c"], "names", ("c",)),
        (["--rule", "2"], "rule", 2),
        (["--rule", "accurate"], "rule", "accurate"),
        (["--kind", "y"], "kind", "y"),
        (["--flag"], "flag", True),
    ],
)
def test_the_command_line_reads_values_of_their_kinds(arguments, name, value):
    options = tyro.cli(options_of(Estimator, name="Options"), args=arguments)
    assert getattr(options, name) == value
    assert type(getattr(options, name)) is type(value)
