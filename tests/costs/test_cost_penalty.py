"""The penalty against its closed forms, and what descending on it alone leads to."""

import dataclasses

import pytest
import torch

from archgrad.arch import LogitGroup
from archgrad.bilevel import Searcher
from archgrad.costs import CostPenalty, CostTable, parameters
from archgrad.decode import top_k
from archgrad.identity import identify
from archgrad.methods import METHODS
from archgrad.relax import Softmax
from archgrad.relax.penalties import Relaxed
from archgrad.spaces import ConvCellSpace

GROUP = LogitGroup.dense("cell", inputs=1, nodes=1, candidates=("x", "y"))
TABLE = CostTable(
    name="latency",
    unit="ms",
    space="letters",
    groups=(GROUP,),
    keep={"cell": (1,)},
    outputs={"cell": (1,)},
    fixed=1.0,
    values={"cell": ((1.0, 5.0),)},
)
FORMS = ("hinge", "linear", "log")


def penalise(penalty, p):
    """The penalty and its gradient where x has weight p and y the rest."""
    mixture = torch.stack([torch.as_tensor(p), 1 - torch.as_tensor(p)], dim=-1).unsqueeze(-2).requires_grad_()
    value = penalty(Relaxed({"cell": mixture}, {"cell": mixture}, (GROUP,), 0.5))
    (gradient,) = torch.autograd.grad(value, mixture)
    return value.detach(), gradient


@pytest.mark.parametrize("form", FORMS)
def test_values_are_the_closed_forms(form):
    for p, expected in ((0.25, 5.0), (0.75, 3.0)):  # E = 1 + p + 5 (1 − p)
        ratio = torch.tensor(expected / 4)
        value, _ = penalise(CostPenalty(table=TABLE, target=4.0, weight=0.5, form=form), p)
        closed = {"hinge": (ratio - 1).clamp_min(0), "linear": ratio - 1, "log": ratio.log()}[form]
        torch.testing.assert_close(value, 0.5 * closed)


def test_gradients_are_the_closed_forms():
    # With rows that sum to one, ∂E/∂p_o = c_o − Σ p c.
    p, costs = torch.tensor([0.25, 0.75]), torch.tensor([1.0, 5.0])
    of_expected = (costs - (p * costs).sum()).unsqueeze(0)
    for form, factor in (("hinge", 2.0 / 4), ("linear", 2.0 / 4), ("log", 2.0 / 5)):
        _, gradient = penalise(CostPenalty(table=TABLE, target=4.0, weight=2.0, form=form), 0.25)
        torch.testing.assert_close(gradient, factor * of_expected)
    for form, factor in (("hinge", 0.0), ("linear", 2.0 / 4), ("log", 2.0 / 3)):
        _, gradient = penalise(CostPenalty(table=TABLE, target=4.0, weight=2.0, form=form), 0.75)
        torch.testing.assert_close(gradient, factor * (costs - 2.0).unsqueeze(0))


def test_the_logarithm_has_the_direction_of_the_product():
    alpha, beta = 0.2, 0.6  # arXiv:1812.03443, section 3.2
    logits = torch.tensor([[0.3, -0.2]], requires_grad=True)
    mixture = {"cell": Softmax()(logits, GROUP.mask_tensor())}
    loss = 1.5 + logits.square().sum()
    expected = TABLE.expected(mixture, (GROUP,))
    (product,) = torch.autograd.grad(loss * alpha * expected.log() ** beta, logits, retain_graph=True)
    weight = float((loss * beta / expected.log()).detach())
    penalty = CostPenalty(table=TABLE, target=3.0, weight=weight, form="log")
    (total,) = torch.autograd.grad(loss + penalty(Relaxed({"cell": logits}, mixture, (GROUP,), 0.0)), logits)
    torch.testing.assert_close(product, alpha * expected.log().detach() ** beta * total)


def test_members_of_an_ensemble_add_up():
    penalty = CostPenalty(table=TABLE, target=4.0, weight=0.5)
    alone = [penalise(penalty, p)[0] for p in (0.1, 0.3, 0.9)]
    torch.testing.assert_close(penalise(penalty, torch.tensor([0.1, 0.3, 0.9]))[0], sum(alone))


@pytest.mark.parametrize("form", FORMS)
def test_descending_on_the_penalty_ends_under_the_target(form):
    space = ConvCellSpace(channels=4, layers=3, nodes=2, edges_per_node=1)
    table = parameters(space, channels=8, layers=4)
    low, high = table.bounds
    target = low + 0.2 * (high - low)
    penalty = CostPenalty(table=table, target=target, weight=1.0, form=form)
    dear = {"sep_conv_5x5": 2.0, "dil_conv_5x5": 1.0}
    logits = {
        group.name: torch.tensor([[dear.get(name, 0.0) for name in group.candidates]] * len(group.edges))
        for group in space.groups
    }

    def relax():
        return {group.name: Softmax()(logits[group.name], group.mask_tensor()) for group in space.groups}

    assert table.of(space.decode(relax(), top_k)) > target
    for tensor in logits.values():
        tensor.requires_grad_()
    for step in range(200):
        value = penalty(Relaxed(logits, relax(), space.groups, step / 199))
        for tensor, gradient in zip(logits.values(), torch.autograd.grad(value, list(logits.values())), strict=True):
            tensor.data -= 5.0 * gradient
    assert table.expected(relax(), space.groups) <= target * 1.001
    assert table.of(space.decode(relax(), top_k)) < target


@pytest.mark.parametrize("name", ["darts-first-order", "pc-darts", "gdas", "drnas"])
def test_it_goes_with_any_method(name, tiny_space):
    method, table = METHODS[name], parameters(tiny_space)
    penalty = CostPenalty(table=table, target=table.bounds[0], weight=100.0)
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    batch = images, torch.tensor([0, 1, 0, 1])
    found = []
    for penalties in (method.penalties, (*method.penalties, penalty)):
        searcher = Searcher(
            tiny_space, steps_per_epoch=1, method=dataclasses.replace(method, penalties=penalties), device="cpu"
        )
        state, _ = searcher.step(searcher.init(0), batch, batch)
        found.append(state.logits["normal"])
    dear, cheap = (tiny_space.candidates.index(candidate) for candidate in ("sep_conv_3x3", "max_pool_3x3"))
    gaps = [logits[:, dear] - logits[:, cheap] for logits in found]
    assert (gaps[1] <= gaps[0]).all()
    assert (gaps[1] < gaps[0]).any()


def test_the_identity_of_a_run_holds_table_and_target():
    penalty = CostPenalty(table=TABLE, target=3.0, weight=0.5)
    plain = identify(penalty)
    assert (plain["target"], plain["weight"], plain["form"]) == (3.0, 0.5, "hinge")
    other = dataclasses.replace(TABLE, fixed=1.5)
    assert identify(dataclasses.replace(penalty, table=other)) != plain
    assert {CostPenalty(table=TABLE, target=3.0, weight=1.0, form=form).citation for form in FORMS} == {
        "1812.00332",
        "1812.03443",
    }


def test_a_table_of_another_space_is_refused_before_the_search():
    penalty = CostPenalty(table=TABLE, target=3.0, weight=0.5)
    penalty.check((GROUP,))
    with pytest.raises(ValueError, match="1 edges, that of the space 3"):
        penalty.check((LogitGroup.dense("cell", inputs=1, nodes=2, candidates=("x", "y")),))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": -1.0}, r"target: networks of this space have from 2 to 6 ms of latency; allowed is 2 and above"),
        ({"target": 0.0}, r"got 0.0"),
        ({"target": 1.9}, r"got 1.9"),
        ({"target": float("nan")}, r"got nan"),
        ({"weight": -1.0}, r"weight: must be at least 0"),
        ({"form": "hing"}, r"form: 'hing' is unknown; did you mean 'hinge'"),
        ({"table": dataclasses.replace(TABLE, fixed=0.0, values={"cell": ((0.0, 0.0),)}), "target": 0.0}, "got 0.0"),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        CostPenalty(**{"table": TABLE, "target": 3.0, "weight": 1.0, **change})
