"""What keeps undefined and huge values to themselves, and which operations share a kernel."""

import math

import pytest
import torch

from archgrad.ops.symbolic import PRIMITIVES, Primitive
from archgrad.spaces.expression.mixing import LARGEST, Mixed, bounded, power, safe


def test_bounded_values():
    x = torch.tensor([1.0, math.nan, math.inf, -math.inf, 2e6, -3.0], requires_grad=True)
    found = bounded(x)
    assert found.tolist() == [1.0, 0.0, LARGEST, -LARGEST, LARGEST, -3.0]
    assert torch.autograd.grad(found.sum(), x)[0].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("name", ["sqrt", "ln", "reciprocal", "arcsin", "inverse_square", "exp"])
def test_safe_functions_are_themselves_where_they_are_defined(name):
    function = PRIMITIVES[name].function
    x = torch.tensor([0.0, -1.0, 1.0, 0.5, -1e30, 1e30, 0.3], requires_grad=True)
    value = safe(function, x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert value.isfinite().all()
    assert gradient.isfinite().all()
    inside = torch.tensor([0.5, 0.3], requires_grad=True)
    torch.testing.assert_close(value[[3, 6]], function(inside))
    torch.testing.assert_close(gradient[[3, 6]], torch.autograd.grad(function(inside).sum(), inside)[0])


def test_powers():
    x = torch.tensor([2.0, -2.0, 0.0, 1e30, 0.5])
    for exponent, expected in (
        (1.0, [2, -2, 0, LARGEST, 0.5]),
        (2.0, [4, 4, 0, LARGEST, 0.25]),
        (-1.0, [0.5, -0.5, LARGEST, 0, 2]),
        (0.0, [1, 1, 1, 1, 1]),
        (0.4, [2**0.4, 2**0.4, 0, LARGEST, 0.5**0.4]),
    ):
        found = power(x, torch.full((5,), exponent))
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32), rtol=0.02, atol=2e-6)


def test_what_is_linear_is_one_feature_and_the_rest_is_one_kernel_each():
    own = Primitive("own", lambda x: x + 1, lambda x: x + 1, coefficients="scale")
    names = (
        "none",
        "add",
        "subtract",
        "mult",
        "linear",
        "constant",
        "sin",
        "linear_sin",
        "softplus",
        "multiply",
        "power",
    )
    primitives = [*(PRIMITIVES[name] for name in names), own]
    mixed = Mixed(primitives, range(len(primitives)))

    def named(places):
        return [primitives[place].name for place in places]

    assert [named(place for place, _ in users) for users in mixed.features.values()] == [
        ["add", "subtract", "mult", "linear"],
        ["sin"],
    ]
    assert named(mixed.shifts) == ["linear", "constant"]
    assert named(mixed.functions) == ["linear_sin", "softplus", "own"]
    assert (named(mixed.factors), named(mixed.powers)) == (["multiply"], ["power"])
    assert not mixed.additive
    assert Mixed(primitives, range(9)).additive
