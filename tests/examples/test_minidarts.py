"""The example in one file is short, learns, repeats itself, and computes the hypergradient that it states."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

FILE = Path(__file__).parents[2] / "examples" / "minidarts.py"
STEPS = 8


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("minidarts", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


minidarts = load()


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return minidarts.main(STEPS)


def test_is_one_short_file_that_stands_alone():
    text = FILE.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    assert "archgrad" not in text


def test_loading_draws_no_random_number():
    state = torch.get_rng_state()
    load()
    assert torch.equal(torch.get_rng_state(), state)


def test_the_training_loss_falls(result: dict[str, Any]):
    losses = result["losses"]
    assert len(losses) == STEPS
    assert sum(losses[-3:]) < sum(losses[:3])


@pytest.mark.parametrize("name", ["darts", "random"])
def test_a_cell_keeps_two_edges_per_node_and_no_none(result: dict[str, Any], name: str):
    edges, _ = result[name]
    assert sorted(j for _, j in edges) == [j for j in minidarts.NODES for _ in range(2)]
    assert all(0 <= i < j for i, j in edges)
    assert all(len(operations) == 1 and operations[0] in minidarts.OPERATIONS for operations in edges.values())
    assert "none" not in minidarts.OPERATIONS


@pytest.mark.parametrize("name", ["darts", "random"])
def test_accuracy_is_a_share(result: dict[str, Any], name: str):
    assert 0 <= result[name][1] <= 1


def test_the_decoded_network_is_above_chance(result: dict[str, Any]):
    assert result["darts"][1] > 0.2


def test_equal_seeds_give_equal_results_and_others_do_not(capsys: pytest.CaptureFixture[str]):
    first = minidarts.main(steps=2, seed=3)
    printed = capsys.readouterr().out
    assert minidarts.main(steps=2, seed=3) == first
    assert capsys.readouterr().out == printed
    assert minidarts.main(steps=2, seed=4) != first
    assert [line.split()[0] for line in printed.splitlines()] == ["search:", "darts", "random"]


def test_decoding_ranks_mixture_weights_instead_of_logits():
    logits = torch.zeros(len(minidarts.SUPERNET), len(minidarts.NAMES))
    rows = {edge: row for row, edge in enumerate(minidarts.SUPERNET)}
    skip, sep = minidarts.NAMES.index("skip_connect"), minidarts.NAMES.index("sep_conv_3x3")
    logits[rows[0, 3], [0, sep]] = torch.tensor([9.0, 3.0])  # the largest logit of node 3, but `none` has the mass
    logits[rows[1, 3], skip] = 1.0
    logits[rows[2, 3], sep] = 2.0
    edges = minidarts.decode(logits)
    node = [(i, operations) for (i, j), operations in edges.items() if j == 3]
    assert node == [(2, ("sep_conv_3x3",)), (1, ("skip_connect",))]


def test_none_adds_nothing_but_takes_its_share():
    mixed = minidarts.Mixed({"skip_connect": torch.nn.Identity()})
    x, p = torch.randn(2, 4, 3, 3), torch.tensor([0.75, 0.25, 0, 0, 0, 0])
    assert torch.equal(mixed(x, p), 0.25 * x)


class Supernet:
    """Both losses of a small batch in float64, at weights and logits that are not those of a fresh network."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = minidarts.Network(minidarts.SUPERNET).double()
        self.w = dict(self.network.named_parameters())
        self.images, self.labels = torch.rand(16, 1, 8, 8, dtype=torch.float64), torch.arange(16) % 10
        self.alpha = 0.5 * torch.randn(len(minidarts.SUPERNET), len(minidarts.NAMES), dtype=torch.float64)
        self.direction = torch.randn_like(self.alpha)

    def loss(self, rows: slice, w: dict[str, Tensor], alpha: Tensor) -> Tensor:
        logits = functional_call(self.network, w, (self.images[rows], alpha.softmax(-1)))
        return F.cross_entropy(logits, self.labels[rows])

    def train(self, w: dict[str, Tensor], alpha: Tensor) -> Tensor:
        return self.loss(slice(0, 8), w, alpha)

    def validation(self, w: dict[str, Tensor], alpha: Tensor) -> Tensor:
        return self.loss(slice(8, 16), w, alpha)


def test_the_hypergradient_equals_differences_of_the_unrolled_loss():
    s, xi, epsilon = Supernet(), 0.05, 1e-6

    def unrolled(alpha: Tensor) -> float:
        slopes = torch.autograd.grad(s.train(s.w, alpha), list(s.w.values()))
        stepped = {name: w - xi * slope for (name, w), slope in zip(s.w.items(), slopes, strict=True)}
        return s.validation(stepped, alpha).item()

    gradient = minidarts.hypergradient(s.train, s.validation, s.w, s.alpha.requires_grad_(), xi)
    at, step = s.alpha.detach(), epsilon * s.direction
    expected = (unrolled(at + step) - unrolled(at - step)) / (2 * epsilon)
    assert (gradient * s.direction).sum().item() == pytest.approx(expected, rel=1e-5)


def test_the_mixed_product_equals_the_central_differences_of_the_paper():
    """With ⟨w, v⟩ for L_val and ξ = 1 the hypergradient is the negative product alone; arXiv:1806.09055, Eq. 8."""
    s, epsilon = Supernet(), 1e-6
    s.alpha.requires_grad_()
    v = {name: torch.randn_like(w) for name, w in s.w.items()}

    def along_v(w: dict[str, Tensor], alpha: Tensor) -> Tensor:
        return sum(((w[name] * v[name]).sum() for name in v), 0 * alpha.sum())

    def slope(sign: int) -> Tensor:
        w = {name: (s.w[name] + sign * epsilon * v[name]).detach() for name in v}
        return torch.autograd.grad(s.train(w, s.alpha), s.alpha)[0]

    product = -minidarts.hypergradient(s.train, along_v, s.w, s.alpha, 1.0)
    torch.testing.assert_close(product, (slope(1) - slope(-1)) / (2 * epsilon), rtol=1e-4, atol=1e-6)
    assert product.norm() > 0.1
