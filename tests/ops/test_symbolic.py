"""A primitive is the same function in torch, NumPy and sympy."""

import pickle

import numpy as np
import pytest
import sympy
import torch

from archgrad.ops.symbolic import COEFFICIENTS, PRIMITIVES, Primitive, primitive_of

AUTORA = [
    "none",
    "add",
    "subtract",
    "mult",
    "linear",
    "relu",
    "linear_relu",
    "logistic",
    "linear_logistic",
    "exp",
    "linear_exp",
    "cos",
    "sin",
    "tanh",
    "linear_cos",
    "linear_sin",
    "linear_tanh",
    "reciprocal",
    "linear_reciprocal",
    "ln",
    "linear_ln",
    "softplus",
    "linear_softplus",
    "softminus",
    "linear_softminus",
]
DOMAIN = {"arcsin": (-0.9, 0.9), "arccos": (-0.9, 0.9), "ln": (0.2, 3.0), "sqrt": (0.2, 3.0)}


def points(name):
    low, high = DOMAIN.get(name.removeprefix("linear_"), (-2.9, 2.8))
    return np.linspace(low, high, 13)


def test_the_existing_estimators_primitives_are_there():
    assert len(AUTORA) == 25
    assert set(AUTORA) <= set(PRIMITIVES)


@pytest.mark.parametrize("name", PRIMITIVES)
def test_the_languages_agree(name):
    primitive, x = PRIMITIVES[name], points(name)
    symbol = sympy.Symbol("x", real=True)
    twin = [float(primitive.expression(symbol).subs(symbol, sympy.Float(value, 30))) for value in x]
    np.testing.assert_allclose(primitive.value(x), twin, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(primitive.function(torch.from_numpy(x)).numpy(), twin, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", PRIMITIVES)
def test_the_derivative_is_that_of_the_function(name):
    primitive, x = PRIMITIVES[name], points(name)
    numeric = (primitive.value(x + 1e-6) - primitive.value(x - 1e-6)) / 2e-6
    np.testing.assert_allclose(primitive.slope(x), numeric, rtol=1e-6, atol=1e-7)


def test_a_primitive_of_ones_own_needs_only_torch_and_sympy():
    own = Primitive("gauss", lambda x: torch.exp(-(x**2)), lambda x: sympy.exp(-(x**2)), coefficients="affine")
    x = np.array([-1.0, 0.0, 0.5])
    np.testing.assert_allclose(own.value(x), np.exp(-(x**2)))
    np.testing.assert_allclose(own.slope(x), -2 * x * np.exp(-(x**2)))
    assert own.size == 2
    assert own.complexity == 3


def test_a_constant_function_has_a_value_everywhere():
    own = Primitive("two", lambda x: 2 + 0 * x, lambda x: sympy.Integer(2))
    assert own.value(np.zeros(3)).tolist() == [2, 2, 2]
    assert own.slope(np.zeros(3)).tolist() == [0, 0, 0]


def test_names_are_looked_up_and_misspelt_ones_are_told():
    assert primitive_of("sin") is PRIMITIVES["sin"]
    assert primitive_of(PRIMITIVES["sin"]) is PRIMITIVES["sin"]
    with pytest.raises(ValueError, match="primitives: 'sine' is unknown; did you mean 'sin'"):
        primitive_of("sine")
    with pytest.raises(ValueError, match="primitives: needs names or Primitive objects, got 3"):
        primitive_of(3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"coefficients": "afine"}, "coefficients: 'afine' is unknown; did you mean 'affine'"),
        ({"combination": "plus"}, "combination: 'plus' is unknown"),
        ({"name": ""}, "name: a primitive needs a name"),
    ],
)
def test_bad_primitives_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        Primitive(**{"name": "p", "function": torch.sin, "expression": sympy.sin, **arguments})


def test_the_tables_primitives_are_pickled_by_name():
    for primitive in PRIMITIVES.values():
        assert pickle.loads(pickle.dumps(primitive)) is primitive


def test_coefficients_are_counted():
    assert {PRIMITIVES[name].size for name in ("add", "mult", "linear", "powered", "constant", "softplus")} == {0, 1, 2}
    assert PRIMITIVES["none"].complexity == 0
    assert max(primitive.size for primitive in PRIMITIVES.values()) == max(COEFFICIENTS.values())
