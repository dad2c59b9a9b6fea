"""Λ and its gradients against the definition, and the finite differences against exact double backward."""

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call

from archgrad.spaces import ConvCellSpace
from archgrad.stability import Alignment
from archgrad.stability.alignment import alignment_slopes, layer_alignment

CELLS = ("normal", "reduce", "normal", "normal", "reduce")
COUNTS = {"normal": 3, "reduce": 2}


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mixture_of(seed=0):
    return {
        "normal": draw(2, 3, seed=seed).softmax(-1),
        "reduce": draw(2, 3, seed=seed + 1).softmax(-1),
        "normal_edges": draw(1, 2, seed=seed + 2).softmax(-1),
    }


def network_weights(seed=0):
    """Each cell: two edges of three candidates, a linear map, a linear map with tanh, and the identity."""
    weights = {
        f"{cell}.{edge}.{op}": 0.6 * draw(4, 4, seed=seed + 31 * cell + 5 * edge + op)
        for cell, edge, op in itertools.product(range(len(CELLS)), range(2), range(2))
    }
    return weights | {"head": draw(4, seed=seed + 999)}


def network_loss(weights, mixture, *, scale=1.0):
    """A chain of cells that share their group's mixture; edge weights scale the second edge."""
    x, target = draw(7, 4, seed=100), draw(7, seed=101)
    places = dict.fromkeys(mixture, 0)
    for cell, group in enumerate(CELLS):
        p = mixture[group][places[group]]
        places[group] += 1
        edges = [
            p[edge, 0] * (x @ weights[f"{cell}.{edge}.0"])
            + p[edge, 1] * torch.tanh(x @ weights[f"{cell}.{edge}.1"])
            + p[edge, 2] * x
            for edge in range(2)
        ]
        x = torch.tanh(edges[0] + mixture["normal_edges"][0, 1] * edges[1])
    return scale * ((x @ weights["head"] - target) ** 2).mean()


def quadratic_weights():
    return {"w": draw(3, 4, seed=5), "v": draw(2, 3, seed=6)}


def quadratic_loss(weights, mixture):
    """½ Σ_l ‖p_l ∘ (A_l w + b_l)‖² + …: bilinear terms alone, so that central differences are exact."""
    total = weights["v"].square().sum()
    for place, p in enumerate(mixture["normal"]):
        total = total + (p.flatten() * (draw(6, 12, seed=20 + place) @ weights["w"].flatten())).sum()
    for place, p in enumerate(mixture["reduce"]):
        total = total + (p * weights["v"] * (1.0 + place)).sum() + (p * draw(2, 3, seed=40 + place)).sum()
    return total


def pairwise(gradients):
    pairs = list(itertools.combinations([gradient.flatten() for gradient in gradients], 2))
    return sum(torch.dot(a, b) / (a.norm() * b.norm()) for a, b in pairs) / len(pairs)


def exact(loss, weights, mixture, groups=("normal", "reduce"), counts=COUNTS):
    """∇_w Σ_groups Λ by differentiating twice."""
    w = {name: weight.detach().clone().requires_grad_() for name, weight in weights.items()}
    copies = {
        name: p.expand(counts[name], *p.shape).clone().requires_grad_() if name in counts else p
        for name, p in mixture.items()
    }
    gradients = torch.autograd.grad(loss(w, copies), [copies[name] for name in groups], create_graph=True)
    value = sum(pairwise(gradient) for gradient in gradients)
    return dict(zip(w, torch.autograd.grad(value, list(w.values()), materialize_grads=True), strict=True))


def regulariser(loss=network_loss, *, weights=None, mixture=None, cells=CELLS, progress=1.0, **arguments):
    weights = network_weights() if weights is None else weights
    mixture = mixture_of() if mixture is None else mixture
    return Alignment(**{"weight": 1.0, **arguments})(loss, weights, mixture, cells=cells, progress=progress)


def flat(gradients):
    return torch.cat([gradient.flatten() for gradient in gradients.values()])


@settings(max_examples=30, deadline=None)
@given(cells=st.integers(2, 6), seed=st.integers(0, 1000))
def test_alignment_and_its_gradient_are_those_of_the_pairs(cells, seed):
    gradients = draw(cells, 2, 3, seed=seed).requires_grad_()
    value = pairwise(gradients)
    torch.testing.assert_close(layer_alignment(gradients.detach()), value.detach())
    torch.testing.assert_close(alignment_slopes(gradients.detach()), torch.autograd.grad(value, gradients)[0])


def test_alignment_of_one_direction_is_one_and_of_opposites_minus_one():
    g = draw(2, 3)
    assert float(layer_alignment(torch.stack([g, 2 * g, 5 * g]))) == pytest.approx(1.0)
    assert float(layer_alignment(torch.stack([g, -g]))) == pytest.approx(-1.0)
    assert alignment_slopes(torch.stack([g, 2 * g, 5 * g])).abs().max() < 1e-12


def test_a_gradient_of_zero_counts_as_orthogonal_and_is_not_moved():
    g = draw(2, 3)
    gradients = torch.stack([g, torch.zeros_like(g), g])
    assert float(layer_alignment(gradients)) == pytest.approx(1 / 3)
    assert alignment_slopes(gradients)[1].abs().max() == 0


def test_quadratic_against_double_backward():
    """Where ∂L/∂p is linear in w alone, central differences have no error but rounding."""
    weights = quadratic_weights()
    found = regulariser(quadratic_loss, weights=weights)
    expected = exact(quadratic_loss, weights, mixture_of())
    for name in weights:
        torch.testing.assert_close(found[name], -expected[name], rtol=1e-7, atol=1e-9)


def test_network_against_double_backward():
    found, expected = flat(regulariser()), -flat(exact(network_loss, network_weights(), mixture_of()))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


def test_supernet_against_double_backward():
    """A step so small that no ReLU turns; the one of the paper crosses many, which double backward does not see."""
    space = ConvCellSpace(
        channels=2, layers=5, num_classes=2, in_channels=1, nodes=1, candidates=("none", "skip_connect", "dil_conv_3x3")
    )
    torch.manual_seed(0)
    supernet = space.supernet().double()
    images, labels = draw(3, 1, 8, 8), torch.tensor([0, 1, 0])
    cells = supernet.cell_groups

    def loss(weights, mixture):
        return torch.nn.functional.cross_entropy(functional_call(supernet, weights, (images, mixture)), labels)

    weights = dict(supernet.named_parameters())
    mixture = {group.name: draw(*group.shape, seed=7).softmax(-1) for group in space.groups}
    counts = {name: cells.count(name) for name in mixture}
    assert min(counts.values()) > 1
    found = regulariser(loss, weights=weights, mixture=mixture, cells=cells, epsilon=1e-8)
    torch.testing.assert_close(flat(found), -flat(exact(loss, weights, mixture, counts=counts)), rtol=1e-4, atol=1e-5)


def test_error_falls_with_the_square_of_epsilon():
    expected = -flat(exact(network_loss, network_weights(), mixture_of()))
    errors = [(flat(regulariser(epsilon=epsilon)) - expected).norm() for epsilon in (1e-1, 1e-2)]
    assert 80 < errors[0] / errors[1] < 120


def test_a_step_of_descent_raises_the_alignment():
    def alignment(weights):
        copies = {
            name: p.expand(COUNTS.get(name, 0), *p.shape).clone() if name in COUNTS else p
            for name, p in mixture_of().items()
        }
        leaves = [copies[name].requires_grad_() for name in COUNTS]
        return float(sum(pairwise(g) for g in torch.autograd.grad(network_loss(weights, copies), leaves)))

    weights, added = network_weights(), regulariser()
    stepped = {name: weight - 1e-3 * added[name] for name, weight in weights.items()}
    assert alignment(stepped) > alignment(weights)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-3, 1e3))
def test_the_scale_of_the_loss_does_not_count(scale):
    scaled = regulariser(lambda weights, mixture: network_loss(weights, mixture, scale=scale))
    torch.testing.assert_close(flat(scaled), flat(regulariser()), rtol=1e-6, atol=1e-9)


def test_a_group_with_one_cell_contributes_nothing():
    """Cells 0, 2 and 3 are normal as before; one reduction cell is left, whose mixture nobody moves."""
    cells = ("normal", "reduce", "normal", "normal", "lone")
    mixture = mixture_of()

    def loss(weights, mixture):
        merged = {**mixture, "reduce": torch.cat([mixture["reduce"], mixture["lone"]])}
        return network_loss(weights, {name: p for name, p in merged.items() if name != "lone"})

    found = regulariser(loss, mixture={**mixture, "lone": mixture["reduce"].clone()}, cells=cells)
    torch.testing.assert_close(flat(found), -flat(exact(network_loss, network_weights(), mixture, ("normal",))))
    torch.testing.assert_close(flat(found), flat(regulariser(groups=("normal",))))


def test_no_group_has_two_cells():
    found = regulariser(lambda weights, mixture: pytest.fail("was evaluated"), cells=("normal", "reduce"))
    assert all(not gradient.any() for gradient in found.values())


def test_what_the_loss_is_given():
    shapes = []

    def loss(weights, mixture):
        shapes.append({name: tuple(p.shape) for name, p in mixture.items()})
        return network_loss(weights, mixture)

    regulariser(loss)
    assert shapes == [{"normal": (3, 2, 3), "reduce": (2, 2, 3), "normal_edges": (1, 2)}] * 3


def test_mixtures_move_by_epsilon_in_all_and_both_ways():
    seen = []

    def loss(weights, mixture):
        seen.append(torch.cat([mixture[name].detach().flatten() for name in COUNTS]))
        return network_loss(weights, mixture)

    regulariser(loss, epsilon=0.01)
    centre, higher, lower = seen
    torch.testing.assert_close(higher - centre, centre - lower)
    assert float((higher - centre).norm()) == pytest.approx(0.01)


def test_the_weight_grows_with_progress():
    full, half = flat(regulariser(weight=0.5)), flat(regulariser(weight=0.5, progress=0.5))
    torch.testing.assert_close(half, full / 2)
    torch.testing.assert_close(full, flat(regulariser()) / 2)
    found = regulariser(lambda weights, mixture: pytest.fail("was evaluated"), progress=0.0)
    assert {name: gradient.shape for name, gradient in found.items()} == {
        name: weight.shape for name, weight in network_weights().items()
    }
    assert not flat(found).any()


def test_every_argument_counts():
    base = Alignment()
    for change in ({"weight": 0.25}, {"epsilon": 0.1}, {"groups": ("reduce",)}):
        first, second = (
            flat(rule(network_loss, network_weights(), mixture_of(), cells=CELLS, progress=1.0))
            for rule in (base, replace(base, **change))
        )
        assert not torch.equal(first, second), change


def test_nothing_is_left_behind():
    weights, mixture = network_weights(), mixture_of()
    parameters = {name: torch.nn.Parameter(weight.clone()) for name, weight in weights.items()}
    with torch.no_grad():
        found = regulariser(weights=parameters, mixture=mixture)
    assert all(parameter.grad is None and torch.equal(parameter, weights[n]) for n, parameter in parameters.items())
    assert not any(gradient.requires_grad for gradient in found.values())
    assert all(torch.equal(mixture[name], p) for name, p in mixture_of().items())


def test_a_loss_that_is_no_number_adds_nothing():
    assert not flat(regulariser(lambda weights, mixture: network_loss(weights, mixture, scale=float("nan")))).any()


@pytest.mark.parametrize(
    ("arguments", "named"), [({"weight": -1.0}, "weight: must be at least 0"), ({"epsilon": 0.0}, "epsilon: must be")]
)
def test_bad_arguments(arguments, named):
    with pytest.raises(ValueError, match=named):
        Alignment(**arguments)


def test_bad_calls():
    with pytest.raises(ValueError, match=r"^progress: must lie in"):
        regulariser(progress=-0.1)
    with pytest.raises(ValueError, match=r"^groups: 'norml' is unknown; did you mean 'normal'"):
        regulariser(groups=("norml",))
