import pytest

from archgrad.decode import top_k
from archgrad.hypergrad import FiniteDifference, FirstOrder, Unrolled
from archgrad.methods import METHODS, Method, by_name, darts, fair_darts, snas
from archgrad.relax import Gumbel, Sigmoid, Softmax, ZeroOneLoss


@pytest.mark.parametrize(
    ("arguments", "name", "hypergradient"),
    [
        ({"order": 1}, "darts-first-order", FirstOrder()),
        ({}, "darts-second-order", Unrolled()),
        ({"product": "finite_difference"}, "darts-second-order-finite-difference", FiniteDifference()),
    ],
)
def test_rows_of_the_table(arguments, name, hypergradient):
    method = darts(**arguments)
    assert method == Method(
        name=name, citation=method.citation, relaxation=Softmax(), hypergradient=hypergradient, decoder=top_k
    )
    assert "arXiv:1806.09055" in method.citation
    assert by_name(name) == method


@pytest.mark.parametrize(
    ("method", "name", "relaxation", "penalties", "paper"),
    [
        (fair_darts(), "fair-darts", Sigmoid(), (ZeroOneLoss(weight=10.0),), "arXiv:1911.12126"),
        (snas(), "snas", Gumbel(), (), "arXiv:1812.09926"),
    ],
)
def test_rows_of_other_relaxations(method, name, relaxation, penalties, paper):
    assert method == Method(
        name=name,
        citation=method.citation,
        relaxation=relaxation,
        hypergradient=FirstOrder(),
        decoder=top_k,
        penalties=penalties,
    )
    assert paper in method.citation
    assert by_name(name) == method


def test_arguments_of_other_rows():
    assert fair_darts(weight=2.0).penalties == (ZeroOneLoss(weight=2.0),)
    assert snas(temperature=0.5, hard=True).relaxation == Gumbel(0.5, hard=True)


def test_all_names_are_known():
    darts_names = ["darts-first-order", "darts-second-order", "darts-second-order-finite-difference"]
    known = [*darts_names, "fair-darts", "snas"]
    assert [by_name(name).name for name in METHODS] == known


def test_temperature_is_that_of_the_relaxation():
    assert darts(temperature=0.5).relaxation == Softmax(0.5)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"order: must be 1 or 2, got 3"):
        darts(order=3)
    with pytest.raises(ValueError, match=r"product: 'exakt' is unknown; did you mean 'exact'\?"):
        darts(product="exakt")
    with pytest.raises(ValueError, match=r"temperature: must be above 0, got 0"):
        darts(temperature=0)
    with pytest.raises(ValueError, match=r"method: 'darts-first' is unknown; did you mean 'darts-first-order'"):
        by_name("darts-first")
