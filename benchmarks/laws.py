"""Laws that are known: the seed data of AutoRA's estimator in both signs, and three laws of psychology.

For each law and random state: whether the law came back exactly (sympy-equal after snapping), and the seconds.

python benchmarks/laws.py --states 10
"""

import argparse
import time
from typing import Any

import numpy as np
import sympy

from archgrad.estimators import DARTSRegressor

X0, X1, X2 = sympy.symbols("x0 x1 x2")
NEURONS = ("none", "mult", "linear", "relu")


def mesh(*axes: np.ndarray) -> np.ndarray:
    """All combinations of the axes' values, one a row."""
    return np.array(np.meshgrid(*axes)).reshape(len(axes), -1).T


def cases() -> list[tuple[str, sympy.Expr, np.ndarray, dict[str, object]]]:
    """Name, law, table, and arguments of the estimator."""
    unit = np.linspace(0, 1, 10)
    stimulus, sides = np.linspace(0.5, 5, 20), np.linspace(-1, 1, 7)
    return [
        ("seed, +", 2 * X0 + sympy.exp(5 * X1), mesh(unit, unit), {}),
        ("seed, −", 2 * X0 - sympy.exp(5 * X1), mesh(unit, unit), {}),
        ("Weber-Fechner", sympy.log(X0 / X1), mesh(stimulus, stimulus), {}),
        ("exponential learning", 1 - (1 - X0) * sympy.exp(-X1 / 5), mesh(unit, np.linspace(0, 20, 15)), {}),
        (
            "leaky competing accumulator",
            sympy.Rational(1, 2) * X0 - sympy.Max(0, X1) / 5 - sympy.Max(0, X2) / 5,
            mesh(sides, sides, sides),
            {"primitives": NEURONS},
        ),
    ]


def main() -> None:
    """Run all cases on each random state and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=10)
    states = parser.parse_args().states
    print("| law | recovered | slowest | found at state 0 |\n|---|---|---|---|")
    for name, law, table, arguments in cases():
        symbols: list[Any] = sorted(law.free_symbols, key=str)
        columns = table.T[: len(symbols)]
        target = np.broadcast_to(sympy.lambdify(symbols, law)(*columns), len(table)).astype(float)
        found, seconds = [], []
        for state in range(states):
            started = time.perf_counter()
            model = DARTSRegressor(random_state=state, **arguments).fit(table, target)
            seconds.append(time.perf_counter() - started)
            found.append(model.sympy())
        positive = {symbol: sympy.Symbol(symbol.name, positive=True) for symbol in symbols}
        exact = sum(sympy.simplify((law - formula).subs(positive)) == 0 for formula in found)
        print(f"| {name} | {exact} of {states} | {max(seconds):.1f} s | {found[0]} |")


if __name__ == "__main__":
    main()
