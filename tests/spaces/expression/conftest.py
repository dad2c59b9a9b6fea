"""The relaxed graph to the letter: one member, one edge, one candidate at a time, in float64."""

import numpy as np
import pytest
import torch

from archgrad.spaces.expression import ExpressionSpace


def operation(primitive, x, a, b):
    """o(x) as `Primitive` says."""
    match primitive.coefficients:
        case "constant":
            return a + 0 * x
        case "":
            return primitive.function(x)
        case "affine":
            return primitive.function(a * x + b)
        case "shape":
            return primitive.function(a * x) / a
        case _:
            return primitive.function(a * x)


def signed_power(x, a):
    odd = float(a.detach().round() % 2) == 1
    return torch.where((x < 0) & odd, -1.0, 1.0) * x.abs() ** a


def folded(primitive, state, x, a, b):
    """s' of one candidate."""
    match primitive.combination:
        case "add":
            return state + operation(primitive, x, a, b)
        case "multiply":
            return state * x
        case "divide":
            return state / x
        case "power":
            return state.abs() ** x
        case _:
            return state * signed_power(x, a)


def written_out(space, supernet, weights, inputs):
    """[members, rows]: the recurrence of the supernet's docstring."""
    (group,) = space.groups
    known = [space.known[name] for name in group.candidates]
    results = []
    for member, p in enumerate(weights):
        states, empties = list(inputs.T), [torch.zeros(()).double()] * space.columns
        for target in space.targets:
            state, empty = torch.zeros(len(inputs)).double(), torch.ones(()).double()
            for row in group.entering(target):
                source = group.edges[row][0]
                change, present = torch.zeros_like(state), torch.zeros(()).double()
                for column, primitive in enumerate(known):
                    if primitive.name == "none" or primitive.name not in group.choices[row]:
                        continue
                    weight = p[row, column] * (1 - empties[source])
                    a, b = supernet.coefficients[member, row, column]
                    base = state if primitive.combination == "add" else state + empty
                    change = change + weight * (folded(primitive, base, states[source], a, b) - state)
                    present = present + weight
                state, empty = state + change, empty * (1 - present)
            states.append(state)
            empties.append(empty)
        layer = zip(supernet.outputs[member], space.outputs, strict=True)
        results.append(supernet.offset[member] + sum(weight * states[output] for weight, output in layer))
    return torch.stack(results)


@pytest.fixture(scope="session")
def reference():
    """`written_out`."""
    return written_out


MIXED = ("none", "add", "subtract", "constant", "linear", "sin", "softplus", "linear_sin", "linear_exp", "multiply")
SPACES = {
    "sums": {
        "columns": 2,
        "nodes": 3,
        "primitives": ("none", "add", "subtract", "mult", "linear", "tanh", "linear_sin"),
    },
    "no none": {"columns": 1, "nodes": 2, "primitives": ("linear", "logistic", "linear_tanh")},
    "mixed": {"columns": 2, "nodes": 2, "primitives": (*MIXED, "divide", "power", "powered")},
    "products": {"columns": 3, "nodes": 2, "primitives": ("none", "powered")},
    "laws": {"columns": 2, "layout": "laws", "primitives": ("sin", "linear_exp", "square")},
    "small laws": {"columns": 1, "layout": "laws", "terms": 1, "factors": 3, "functions": 1, "primitives": ("tanh",)},
}


@pytest.fixture(scope="session", params=SPACES)
def space(request):
    """Spaces of either layout, with all ways in which edges combine; three members each."""
    return ExpressionSpace(**SPACES[request.param], restarts=3)


@pytest.fixture(scope="session")
def example():
    """A supernet in float64 with random weights, random logits, and inputs between 0.5 and 1.5."""

    def make(space, seed=0, rows=5):
        torch.manual_seed(seed)
        supernet = space.supernet().double()
        with torch.no_grad():
            for parameter in supernet.parameters():
                parameter.copy_(0.7 * torch.randn_like(parameter))
        (group,) = space.groups
        logits = torch.randn(space.restarts, *group.shape).double()
        return supernet, logits, torch.rand(rows, space.columns).double() + 0.5

    return make


@pytest.fixture(scope="session")
def one_hot():
    """A mixture in which every edge has drawn its candidate."""

    def make(space, seed):
        (group,) = space.groups
        generator = np.random.default_rng(seed)
        weights = np.zeros((space.restarts, *group.shape))
        for member in range(space.restarts):
            for row, names in enumerate(group.choices):
                weights[member, row, group.candidates.index(generator.choice(names))] = 1.0
        return torch.from_numpy(weights)

    return make
