"""The library's annotations are checked while the tests run: shapes by jaxtyping, types by beartype."""

import copy
import functools
import os
import signal
import sys
import types

import jaxtyping
from beartype import BeartypeConf, beartype

CALLS = 5
"""So many calls of a function are checked in each test. The millionth call of a convolution tells nothing more."""

# An int passes for a float, as PEP 484 has it; the hook wants the checker's name, hence the module.
_checker = types.ModuleType("archgrad_checker")
_checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # pyright: ignore[reportAttributeAccessIssue]
sys.modules["archgrad_checker"] = _checker
_tests = [0]  # how many have begun


def _sparing(jaxtyped):
    """The decorator that jaxtyping's hook puts on every function, for the first calls in each test."""

    def with_checker(typechecker):
        def decorate(function):
            checked = jaxtyped(function, typechecker=typechecker)
            if not isinstance(function, types.FunctionType):
                return checked
            test, left = -1, 0

            @functools.wraps(function)
            def call(*arguments, **named):
                nonlocal test, left
                if test != _tests[0]:
                    test, left = _tests[0], CALLS
                if left == 0:
                    return function(*arguments, **named)
                left -= 1
                return checked(*arguments, **named)

            return call

        return decorate

    return with_checker


jaxtyping.jaxtyped = _sparing(jaxtyping.jaxtyped)
jaxtyping.install_import_hook("archgrad", "archgrad_checker.check")

import pytest  # noqa: E402  after the hook, as everything that may import the library
import torch  # noqa: E402


def pytest_runtest_setup():
    """Check the first calls of every function again."""
    _tests[0] += 1


@pytest.fixture(scope="session")
def tiny_space():
    """A space small enough for whole searches within a test: [5, 4] logits, two classes, grey images."""
    from archgrad.spaces import ConvCellSpace

    candidates = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
    return ConvCellSpace(channels=4, layers=3, num_classes=2, in_channels=1, nodes=2, candidates=candidates)


@pytest.fixture(scope="session")
def tiny_data():
    """24 grey 8×8 images: noise, and a brighter upper half in class 1."""
    from archgrad.data import ImageData

    labels = torch.arange(24) % 2
    images = torch.randn(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    images[:, :, :4] += labels.view(-1, 1, 1, 1)
    return ImageData(images, labels, ("dark", "bright"))


@pytest.fixture(scope="session")
def stop_at():
    """A callback that presses Ctrl-C during a step, and saves the state when told that the step is whole."""
    from archgrad import Callback

    class Stop(Callback):
        def __init__(self, step):
            self.step = step
            self.saved = None

        def on_step(self, loop, info):
            if loop.state.progress.step == self.step:
                os.kill(os.getpid(), signal.SIGINT)

        def on_interrupt(self, loop):
            self.saved = copy.deepcopy(loop.state.state_dict())

    return Stop


@pytest.fixture(scope="session")
def load_from():
    """A callback that begins a run with a saved state."""
    from archgrad import Callback

    class Load(Callback):
        def __init__(self, saved):
            self.saved = saved

        def on_start(self, loop):
            loop.state.load_state_dict(self.saved)

    return Load


@pytest.fixture(scope="session")
def fake_regressor():
    """An estimator that knows three graphs: a constant, a line, and 2·x + exp(5·z) of its first two columns."""
    from dataclasses import dataclass
    from types import SimpleNamespace
    from typing import Any

    import numpy as np
    import sympy

    from archgrad.genotype import Cell, Edge, Genotype
    from archgrad.spaces.expression.graph import Graph

    @dataclass(frozen=True, eq=False)
    class Equation:
        complexity: int
        loss: float
        validation_loss: float
        expression: sympy.Expr
        latex: str
        genotype: Genotype
        coefficients: Any
        names: tuple[str, ...]

        def __str__(self):
            return sympy.sstr(self.expression, full_prec=False)

        def __call__(self, inputs):
            return Graph(self.genotype.cells[0]).predict(self.coefficients, np.ascontiguousarray(inputs.T))

    class Regressor:
        """Takes any parameters; `interrupt` presses Ctrl-C after that round."""

        interrupt: int | None = None

        def __init__(self, **parameters):
            self.parameters = parameters

        def set_params(self, **parameters):
            self.parameters.update(parameters)
            return self

        def fit(self, table, target):
            columns = np.asarray(table)
            names, width = list(table.columns), columns.shape[1]
            line = tuple(Edge("mult", place) for place in range(width))
            slopes = np.linalg.lstsq(np.c_[columns, np.ones(len(columns))], target, rcond=None)[0]
            found = [
                (((Edge("none", 0),),), [1.0, target.mean()]),
                ((line,), [*slopes[:-1], 1.0, slopes[-1]]),
                (((Edge("mult", 0), Edge("linear_exp", 1)),), [2.0, 5.0, 0.0, 1.0, 0.0]),
            ]
            self.equations_ = []
            for number, (nodes, coefficients) in enumerate(found, start=1):
                self.equations_.append(self.equation(nodes, coefficients, names, columns, target))
                best, losses = self.equations_[-1], [equation.loss for equation in self.equations_]
                self.parameters["execution_monitor"](
                    SimpleNamespace(
                        seconds=0.1, round=number, candidates=10 * number, stage="fit", best=best, losses=losses
                    )
                )
                if number == self.interrupt:
                    raise KeyboardInterrupt
            self.equation_ = self.equations_[-1]
            return self

        def equation(self, nodes, coefficients, names, columns, target):
            cell = Cell("expression", nodes, (len(names),), len(names))
            symbols = [sympy.Symbol(name) for name in names]
            expression = Graph(cell).expression([sympy.Float(float(value)) for value in coefficients], symbols)
            error = Graph(cell).predict(np.array(coefficients), np.ascontiguousarray(columns.T)) - target
            loss = float((error**2).mean())
            latex, genotype = sympy.latex(expression), Genotype("expression", (cell,))
            complexity = 1 + 3 * len(self.equations_)
            return Equation(complexity, loss, loss, expression, latex, genotype, np.array(coefficients), tuple(names))

        def save(self, path):
            path.write_text("{}")

    return Regressor
