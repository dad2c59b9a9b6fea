"""The table's answers are its rows: looked up, ranked by brute force, and summed up over a search."""

import numpy as np
import pytest
import torch

from archgrad.decode import top_k, viterbi
from archgrad.genotype import DARTS_V2
from archgrad.spaces import ConvCellSpace
from archgrad.spaces.nasbench201 import NASBench201Space, arch_string, parse
from archgrad.tabular import genotypes_of

SPACE = NASBench201Space(channels=4, cells=1)
COLUMNS = {
    ("cifar10", "test", 200): "c10_test_200",
    ("cifar100", "test", 200): "c100_test_200",
    ("ImageNet16-120", "test", 200): "in16_test_200",
    ("cifar10", "validation", 12): "c10_val_12",
    ("cifar10", "test", 12): "c10_test_12",
    ("cifar100", "validation", 12): "c100_val_12",
    ("cifar100", "test", 12): "c100_test_12",
    ("ImageNet16-120", "validation", 12): "in16_val_12",
    ("ImageNet16-120", "test", 12): "in16_test_12",
}


@pytest.mark.parametrize("combination", COLUMNS)
def test_accuracies_and_ranks_are_those_of_the_rows(table, rows, combination):
    dataset, split, epochs = combination
    values = [row[COLUMNS[combination]] for row in rows]
    for place in (0, 1, 777, 15_624):
        genotype = parse(rows[place]["arch"])
        asked = {"dataset": dataset, "split": split, "epochs": epochs}
        assert table.accuracy(genotype, **asked) == values[place]
        assert table.rank(genotype, **asked) == 1 + sum(value > values[place] for value in values)
    best = table.optimum(dataset, split=split, epochs=epochs)
    assert best.accuracy == max(values) == 90
    assert table.index(best.genotype) == values.index(90)  # the earlier of equal ones
    assert table.rank(best.genotype, dataset, split=split, epochs=epochs) == 1
    assert (table.random_distribution(dataset, split=split, epochs=epochs) == sorted(values)).all()
    assert combination in table.combinations


def test_costs_are_those_of_the_row(table, rows):
    for place in (0, 5000, 15_624):
        genotype = table.genotype(place)
        assert arch_string(genotype) == rows[place]["arch"]
        assert table.index(genotype) == place
        assert table.parameters(genotype) == 70_000 + place
        assert table.multiply_adds(genotype) == 7_500_000 + 1000 * place
        assert (table.latency(genotype, "desktop"), table.latency(genotype, "telephone")) == (place, place / 2)
    assert table.devices == ("desktop", "telephone")
    assert (len(table), len(table.combinations)) == (15_625, 9)
    assert repr(table) == "NASBench201Table(15625 architectures, 2 devices)"
    assert [genotype for genotype, _ in zip(table.genotypes(), range(3), strict=False)] == [
        table.genotype(place) for place in range(3)
    ]


def test_isomorphic_cells_are_not_merged(table):
    """Only the edge from input to output counts where node 2 and node 1 are not read, but each string has its row."""
    pair = [parse(f"|{first}~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|") for first in ("none", "skip_connect")]
    assert table.index(pair[0]) != table.index(pair[1])


def test_regret_by_hand(table, rows):
    values = np.array([row["c10_test_200"] for row in rows])
    places = [int(np.flatnonzero(values == value)[0]) for value in (50, 70, 60, 90)]
    genotypes = [table.genotype(place) for place in places]
    assert table.regret(genotypes).tolist() == [40, 20, 20, 0]
    assert table.regret(genotypes, of="current").tolist() == [40, 20, 30, 0]
    assert table.regret(genotypes, scores=[1, 0, 3, 2]).tolist() == [40, 40, 30, 30]
    others = np.array([row["c100_test_12"] for row in rows])
    expected = 90 - others[places]
    assert table.regret(genotypes, "cifar100", split="test", epochs=12, of="current").tolist() == expected.tolist()
    assert table.regret([]).shape == (0,)


def test_expected_best_is_that_of_its_columns(table, rows):
    values = np.array([row["c10_test_200"] for row in rows])
    keys = np.array([row["c10_val_12"] for row in rows])
    assert table.expected_best(1) == pytest.approx(values.mean())
    assert table.expected_best(1, chosen_by=("validation", 12)) == pytest.approx(values.mean())
    by_key = [values[keys == key].mean() for key in range(10, 91)]
    share = np.array([(keys <= key).mean() for key in range(9, 91)])
    assert table.expected_best(5, chosen_by=("validation", 12)) == pytest.approx(by_key @ np.diff(share**5))
    assert table.expected_best(10**6) == pytest.approx(90)
    assert table.expected_best(3) != table.expected_best(3, "cifar100")
    assert table.expected_best(3) != table.expected_best(3, epochs=12)
    assert table.expected_best(3, epochs=12) != table.expected_best(3, split="validation", epochs=12)


def history_of(genotypes):
    """Records whose mixtures lean towards these genotypes."""
    return [
        {"epoch": epoch, "mixture": {"cell": (0.5 * SPACE.encode(genotype)["cell"] + 0.1).tolist()}}
        for epoch, genotype in enumerate(genotypes)
    ]


def test_a_search_curve_decodes_the_mixtures_of_each_epoch(table):
    genotypes = [table.genotype(place) for place in (3, 14_000, 77)]
    history = history_of(genotypes)
    assert genotypes_of(SPACE, history, top_k) == genotypes
    curve = table.search_curve(SPACE, history, top_k)
    assert curve.tolist() == [table.accuracy(genotype) for genotype in genotypes]
    for asked in ({"dataset": "cifar100"}, {"epochs": 12}, {"split": "validation", "epochs": 12}):
        assert table.search_curve(SPACE, history, top_k, **asked).tolist() == [
            table.accuracy(genotype, **asked) for genotype in genotypes
        ]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda t, g: t.accuracy(g, split="validation"),
            r"the table has no cifar10 validation 200; it has cifar10 test",
        ),
        (lambda t, g: t.rank(g, epochs=90), r"dataset, split, epochs: the table has no cifar10 test 90; it has"),
        (lambda t, g: t.optimum("cifar-10"), r"dataset: 'cifar-10' is unknown; did you mean 'cifar10'"),
        (lambda t, g: t.accuracy(g, split="val"), r"split: 'val' is unknown; .*Allowed: test, validation"),
        (lambda t, g: t.expected_best(0), r"count: must be at least 1, got 0"),
        (lambda t, g: t.expected_best(2, chosen_by=("validation", 200)), r"the table has no cifar10 validation 200"),
        (lambda t, g: t.latency(g, "desktops"), r"device: 'desktops' is unknown; did you mean 'desktop'"),
        (lambda t, g: t.genotype(15_625), r"index: must lie in 0 to 15624, got 15625"),
        (
            lambda t, g: t.accuracy(DARTS_V2),
            r"genotype: belongs to the space 'conv_cell', needed is one of 'nasbench20",
        ),
        (lambda t, g: t.regret([g], of="worst"), r"of: 'worst' is unknown; .*Allowed: best, current"),
        (lambda t, g: t.regret([g], scores=[1, 2]), r"scores: 2 of them for 1 genotypes"),
        (
            lambda t, g: t.regret([g], scores=[1], of="current"),
            r"scores: choose the best so far; they go with of='best'",
        ),
        (
            lambda t, g: t.search_curve(SPACE, [{"epoch": 0}], top_k),
            r"history: record 0 has no mixture, but \['epoch'\]",
        ),
        (lambda t, g: t.search_curve(SPACE, history_of([g]), viterbi), r"decoder: viterbi does not decode the edges"),
    ],
)
def test_what_the_table_cannot_say(table, ask, message):
    with pytest.raises(ValueError, match=message):
        ask(table, table.genotype(0))


def test_searches_of_other_spaces(table):
    space = ConvCellSpace(nodes=2)
    mixture = {group.name: torch.rand(group.shape).tolist() for group in space.groups}
    with pytest.raises(ValueError, match=r"genotype: belongs to the space 'conv_cell'"):
        table.search_curve(space, [{"mixture": mixture}], top_k)


@pytest.mark.parametrize(
    ("dataset", "best", "all_skip"),
    [("cifar10", 94.373, 54.297), ("cifar100", 73.513, 15.607), ("ImageNet16-120", 47.311, 16.322)],
)
def test_published_optima_and_the_cell_of_identities(real_table, dataset, best, all_skip):
    identities = parse((0, 0, 0, 0, 0, 0))
    assert real_table.optimum(dataset).accuracy == pytest.approx(best, abs=1e-3)
    assert real_table.accuracy(identities, dataset) == pytest.approx(all_skip, abs=1e-3)
    assert real_table.rank(real_table.optimum(dataset).genotype, dataset) == 1
    values = real_table.random_distribution(dataset)
    assert real_table.regret([identities], dataset)[0] == pytest.approx(best - all_skip, abs=2e-3)
    assert values.mean() == pytest.approx(real_table.expected_best(1, dataset))
    assert values.mean() < real_table.expected_best(10, dataset, chosen_by=("validation", 12)) < values.max()
    assert len(real_table.devices) == 27


def test_published_sizes_are_those_of_our_networks(real_table):
    compare_sizes(real_table, (1, 4000, 12_345))


@pytest.mark.slow
def test_published_sizes_of_many_networks(real_table):
    compare_sizes(real_table, np.random.default_rng(0).choice(15_625, 200, replace=False).tolist())


def compare_sizes(real_table, places):
    """Parameters and multiply-adds of the table are those of the networks, to the last one."""
    from archgrad.costs.counts import multiply_adds_by_module

    space = NASBench201Space()
    for place in places:
        genotype = real_table.genotype(place)
        with torch.device("meta"):
            network, image = space.network(genotype).eval(), torch.empty(1, 3, 32, 32)
        assert real_table.parameters(genotype) == sum(weight.numel() for weight in network.parameters())
        assert real_table.multiply_adds(genotype) == sum(multiply_adds_by_module(network, image).values())
