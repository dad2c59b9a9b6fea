"""The table of methods: which parts each row is put together from, and that its arguments reach them."""

import pytest

from archgrad.citations import bibtex, citation, references
from archgrad.decode import top_k
from archgrad.hypergrad import ConjugateGradient, FiniteDifference, FirstOrder, Implicit, Neumann, Unrolled
from archgrad.methods import (
    METHODS,
    Method,
    beta_darts,
    by_name,
    darts,
    darts_minus,
    darts_plus,
    darts_pt,
    decoder_by_name,
    drnas,
    fair_darts,
    gdas,
    i_darts,
    implicit_darts,
    lambda_darts,
    oles,
    p_darts,
    pc_darts,
    random_weight_sharing,
    robust_darts,
    smooth_darts,
    snas,
)
from archgrad.mixing import Mixing
from archgrad.relax import (
    Annealed,
    BetaDecay,
    Dirichlet,
    DirichletDistance,
    Gumbel,
    Sigmoid,
    Softmax,
    UniformPath,
    ZeroOneLoss,
)
from archgrad.selection import OneShot, PerturbationSelection
from archgrad.spaces import ConvCellSpace
from archgrad.stability import (
    AdversarialPerturbation,
    Alignment,
    EigenvalueGrowth,
    Freezing,
    RandomPerturbation,
    SkipCount,
)
from archgrad.stages import Stage

ROWS = [  # maker, arXiv id, and the parts that first-order DARTS does not have
    (darts(order=1), "1806.09055", {}),
    (darts(), "1806.09055", {"hypergradient": Unrolled()}),
    (darts(product="finite_difference"), "1806.09055", {"hypergradient": FiniteDifference()}),
    (implicit_darts(), "1602.02355", {"hypergradient": Implicit(ConjugateGradient(iterations=10, damping=0.01))}),
    (i_darts(), "2106.10784", {"hypergradient": Implicit(Neumann(terms=3))}),
    (fair_darts(), "1911.12126", {"relaxation": Sigmoid(), "penalties": (ZeroOneLoss(weight=10.0),)}),
    (snas(), "1812.09926", {"relaxation": Gumbel()}),
    (gdas(), "1910.04465", {"relaxation": Annealed(Gumbel(10.0, True), 0.1), "mixing": Mixing(one_path=True)}),
    (drnas(), "2006.10355", {"relaxation": Dirichlet(), "penalties": (DirichletDistance(weight=1e-3),)}),
    (
        drnas(progressive=True),
        "2006.10355",
        {
            "relaxation": Dirichlet(),
            "penalties": (DirichletDistance(weight=1e-3),),
            "stages": (Stage(share=0.5, partial_channels=4), Stage(share=0.5, partial_channels=2, keep=4)),
        },
    ),
    (pc_darts(), "1907.05737", {"mixing": Mixing(partial_channels=4, edge_normalisation=True)}),
    (
        p_darts(),
        "1904.12760",
        {
            "stages": (
                Stage(share=1 / 3, skip_dropout=0.0),
                Stage(share=1 / 3, added_layers=6, keep=5, skip_dropout=0.4, fresh_logits=True),
                Stage(share=1 / 3, added_layers=12, keep=3, skip_dropout=0.7, fresh_logits=True),
            )
        },
    ),
    (smooth_darts(), "2002.05283", {"perturbation": RandomPerturbation()}),
    (smooth_darts(kind="adversarial"), "2002.05283", {"perturbation": AdversarialPerturbation()}),
    (darts_minus(), "2009.01027", {"mixing": Mixing(auxiliary_skip=1.0)}),
    (beta_darts(), "2203.01665", {"penalties": (BetaDecay(weight=50.0),)}),
    (lambda_darts(), "2210.07998", {"alignment": Alignment()}),
    (oles(), "jiang2023operation", {"freezing": Freezing()}),
    (robust_darts(), "1909.09656", {"stopping": (EigenvalueGrowth(),)}),
    (darts_plus(), "1909.06035", {"stopping": (SkipCount(),)}),
    (darts_pt(), "2108.04392", {"selection": PerturbationSelection()}),
    (
        random_weight_sharing(),
        "1902.07638",
        {
            "relaxation": UniformPath(),
            "hypergradient": None,
            "mixing": Mixing(one_path=True),
            "selection": OneShot(100, draw="uniform"),
        },
    ),
]


@pytest.mark.parametrize(("method", "paper", "parts"), ROWS, ids=[method.name for method, *_ in ROWS])
def test_rows_of_the_table(method, paper, parts):
    plain = {"relaxation": Softmax(), "hypergradient": FirstOrder(), "decoder": top_k}
    assert method == Method(**{"name": method.name, "citation": paper, **plain, **parts})
    assert by_name(method.name) == method


def test_the_table_has_these_rows_and_no_others():
    assert list(METHODS) == [method.name for method, *_ in ROWS]


@pytest.mark.parametrize(
    ("method", "part", "expected"),
    [
        (darts(temperature=0.5), "relaxation", Softmax(0.5)),
        (fair_darts(weight=2.0), "penalties", (ZeroOneLoss(weight=2.0),)),
        (snas(temperature=0.5, hard=True), "relaxation", Gumbel(0.5, hard=True)),
        (snas(temperature=2.0, final_temperature=0.5), "relaxation", Annealed(Gumbel(2.0), 0.5)),
        (gdas(temperature=5.0, final_temperature=1.0), "relaxation", Annealed(Gumbel(5.0, True), 1.0)),
        (drnas(weight=0.5), "penalties", (DirichletDistance(weight=0.5),)),
        (drnas(progressive=True, partial_channels=2, keep=3), "stages", (
            Stage(share=0.5, partial_channels=2), Stage(share=0.5, partial_channels=1, keep=3))),
        (pc_darts(partial_channels=2, edge_normalisation=False), "mixing", Mixing(partial_channels=2)),
        (p_darts(added_layers=(1,), keep=(8,), skip_dropout=(0.1,)), "stages", (
            Stage(share=1.0, added_layers=1, skip_dropout=0.1),)),
        (implicit_darts(iterations=2, damping=1.0), "hypergradient", Implicit(
            ConjugateGradient(iterations=2, damping=1.0))),
        (i_darts(terms=5, step=0.1), "hypergradient", Implicit(Neumann(terms=5, step=0.1))),
        (smooth_darts(final=0.5), "perturbation", RandomPerturbation(final=0.5)),
        (darts_minus(weight=0.5), "mixing", Mixing(auxiliary_skip=0.5)),
        (beta_darts(weight=5.0), "penalties", (BetaDecay(weight=5.0),)),
        (lambda_darts(weight=0.5), "alignment", Alignment(weight=0.5)),
        (oles(threshold=0.1, window=3), "freezing", Freezing(threshold=0.1, window=3)),
        (robust_darts(window=3, lag=3, ratio=0.5), "stopping", (EigenvalueGrowth(window=3, lag=3, ratio=0.5),)),
        (darts_plus(limit=3), "stopping", (SkipCount(limit=3),)),
        (darts_pt(tune_epochs=1.0, criterion="loss"), "selection", PerturbationSelection(
            tune_epochs=1.0, criterion="loss")),
        (random_weight_sharing(count=7), "selection", OneShot(7, draw="uniform")),
    ],
)  # fmt: skip
def test_arguments_reach_the_parts(method, part, expected):
    assert getattr(method, part) == expected


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"method: 'darts-first' is unknown; did you mean 'darts-first-order'"):
        by_name("darts-first")
    with pytest.raises(ValueError, match=r"decoder: 'topk' is unknown; did you mean 'top_k'"):
        decoder_by_name("topk")
    assert decoder_by_name("top_k") is top_k


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": 3}, r"order: must be 1 or 2, got 3"),
        ({"product": "exakt"}, r"product: 'exakt' is unknown; did you mean 'exact'"),
        ({"temperature": 0.0}, r"temperature: must be above 0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        darts(**arguments)


# -- citations ------------------------------------------------------------------------------------------------------


def test_every_row_can_be_cited(capsys):
    for name, method in METHODS.items():
        assert references()[method.citation] in bibtex(name)
    citation("gdas", "nasbench201")
    said = capsys.readouterr().out
    assert said.count("@inproceedings") == 3  # GDAS, the Gumbel softmax, NAS-Bench-201
    assert said.index("dong2019searching") < said.index("dong2020nasbench201")


def test_parts_are_cited_once_with_what_they_are_made_of():
    space = ConvCellSpace(channels=4, layers=3)
    said = bibtex(space, pc_darts(), "1907.05737")
    assert [said.count(key) for key in ("liu2019darts", "xu2020pcdarts")] == [1, 1]
    assert "xu2020pcdarts" not in bibtex(darts_minus())
    assert "chu2021dartsminus" in bibtex(Mixing(auxiliary_skip=1.0))


def test_every_entry_is_whole_and_stands_under_its_number():
    for key, entry in references().items():
        assert entry.startswith("@")
        assert entry.count("{") == entry.count("}")
        for word in ("title", "author", "year"):
            assert f"  {word} = {{" in entry, key
        assert f"eprint = {{{key}}}" in entry or f"{{{key}," in entry


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((), "name a method"),
        (("gdass",), "citation: 'gdass' is unknown; did you mean 'gdas'"),
        ((3,), "3,. name no source"),
    ],
)
def test_what_cannot_be_cited_is_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        bibtex(*parts)
