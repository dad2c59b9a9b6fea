"""Small tables and an estimator that is quick."""

import numpy as np
import pytest

from archgrad.estimators import DARTSRegressor

QUICK = {"strategy": "enumeration", "random_state": 0, "primitives": ("none", "mult", "linear", "linear_exp", "square")}


@pytest.fixture(scope="session")
def quick():
    """An estimator that counts graphs of sums and does nothing else, with some of its arguments changed."""

    def make(**changes):
        return DARTSRegressor(**{**QUICK, **changes})

    return make


@pytest.fixture(scope="session")
def seed_table():
    """x1, x2 on a mesh of 10 × 10 and y = 2·x1 ± e^{5·x2}."""
    grid = np.linspace(0, 1, 10)
    table = np.array(np.meshgrid(grid, grid)).reshape(2, -1).T

    def make(sign=1):
        return table, 2 * table[:, 0] + sign * np.exp(5 * table[:, 1])

    return make
