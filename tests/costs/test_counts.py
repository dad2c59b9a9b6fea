"""Counted costs equal those of the networks themselves."""

import csv
import lzma
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from archgrad.costs import multiply_adds, parameters
from archgrad.costs.counts import multiply_adds_by_module
from archgrad.costs.derived import placed
from archgrad.genotype import DARTS_V1, DARTS_V2, PUBLISHED
from archgrad.spaces import ConvCellSpace, TrellisSpace
from archgrad.spaces.nasbench201 import NASBench201Space, parse

DATA = Path(__file__).parents[2] / os.environ.get("ARCHGRAD_DATA", "../shared/data")
TABLE = DATA / "nasbench201" / "nasbench201.csv.xz"

SMALL = ConvCellSpace(
    channels=4,
    layers=3,
    num_classes=3,
    nodes=2,
    candidates=("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5"),
)
SPACES = {
    "small": SMALL,
    "narrowed": ConvCellSpace(
        channels=4,
        layers=3,
        nodes=2,
        in_channels=1,
        choices={"normal": {(0, 2): ("none", "skip_connect")}, "reduce": {(0, 3): ("none",)}},
    ),
    "one edge": ConvCellSpace(channels=4, layers=3, nodes=2, edges_per_node=1, candidates=("sep_conv_5x5", "none")),
    "nasbench201": NASBench201Space(channels=4, cells=1, num_classes=5),
    "imagenet": ConvCellSpace(channels=4, layers=3, nodes=2, stem="imagenet", candidates=("none", "skip_connect")),
}


def network_of(space, genotype, **size):
    with torch.device("meta"):
        return space.network(genotype, **size)


def genotypes(space, count=3):
    generator = np.random.default_rng(0)
    return [space.random_genotype(generator) for _ in range(count)]


def count_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("space", SPACES.values(), ids=list(SPACES))
def test_parameters_are_those_of_the_network(space):
    table = parameters(space)
    for genotype in genotypes(space):
        assert table.of(genotype) == count_parameters(network_of(space, genotype))


def test_published_genotypes_have_their_published_size():
    table = parameters(ConvCellSpace(), channels=36, layers=20)
    assert table.of(DARTS_V1) == 3_169_414
    assert table.of(DARTS_V2) == 3_349_342
    with pytest.raises(ValueError, match="has 5 nodes"):
        table.of(PUBLISHED["NASNET"])


@pytest.mark.parametrize(
    ("name", "image_size"),
    [("small", 8), ("small", 11), ("narrowed", 8), ("nasbench201", 8), ("imagenet", 32)],
)
def test_multiply_adds_are_those_of_the_network(name, image_size):
    space = SPACES[name]
    table = multiply_adds(space, image_size)
    images = torch.empty(2, space.in_channels, image_size, image_size, device="meta")
    for genotype in genotypes(space):
        network = network_of(space, genotype)
        with FlopCounterMode(display=False) as counter:
            network(images)
        flops = counter.get_total_flops() / len(images)
        assert table.of(genotype) == flops / 2 + space.num_classes  # the classifier's bias is counted too


def test_nas_bench_201_has_its_published_sizes():
    table, counts = parameters(NASBench201Space()), multiply_adds(NASBench201Space(), 32)
    genotype = parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|")
    assert (table.of(genotype), counts.of(genotype)) == (802_426, 113_951_370)
    assert (table.bounds, counts.bounds) == ((73_306, 1_531_546), (7_783_050, 220_119_690))


@pytest.mark.skipif(not TABLE.exists(), reason=f"NAS-Bench-201's table is not at {TABLE}; set ARCHGRAD_DATA")
def test_nas_bench_201_has_the_sizes_of_its_table():
    table, counts = parameters(NASBench201Space()), multiply_adds(NASBench201Space(), 32)
    with lzma.open(TABLE, "rt") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15_625
    for row in rows[::25]:
        genotype = parse(row["arch"])
        assert table.of(genotype) == int(row["params_c10"])
        assert counts.of(genotype) == pytest.approx(float(row["flops_m_c10"]) * 1e6, abs=0.5)


def test_where_none_is_a_choice_a_decided_mixture_costs_what_its_genotype_does():
    space = SPACES["nasbench201"]
    table = multiply_adds(space, 8)
    for genotype in genotypes(space):
        assert float(table.expected(space.encode(genotype), space.groups)) == table.of(genotype)


def test_multiply_adds_do_not_depend_on_the_device():
    network = SMALL.network(genotypes(SMALL)[0]).eval()
    on_cpu = multiply_adds_by_module(network, torch.zeros(2, 3, 8, 8))
    assert sum(on_cpu.values()) == multiply_adds(SMALL, 8).of(genotypes(SMALL)[0])
    assert not any(layer._forward_hooks for layer in network.modules())


def test_tables_are_of_the_size_that_is_asked_for():
    genotype = genotypes(SMALL)[0]
    tables = [parameters(SMALL), parameters(SMALL, channels=8), parameters(SMALL, layers=4)]
    counted = [count_parameters(network_of(SMALL, genotype, **size)) for size in ({}, {"channels": 8}, {"layers": 4})]
    assert [table.of(genotype) for table in tables] == counted
    assert len(set(counted)) == 3
    assert tables[1].conditions == {"channels": 8}
    sizes = [multiply_adds(SMALL, 8), multiply_adds(SMALL, 16), multiply_adds(SMALL, 8, channels=8)]
    assert len({table.of(genotype) for table in sizes}) == 3
    assert sizes[2].conditions == {"channels": 8, "image_size": 8}


def test_operations_without_weights_cost_nothing():
    table = parameters(SMALL)
    (normal, _), pooling = table.groups, table.groups[0].candidates.index("max_pool_3x3")
    assert all(row[pooling] == row[normal.candidates.index("none")] == 0 for row in table.values["normal"])
    assert all(row[normal.candidates.index("sep_conv_3x3")] > 0 for row in table.values["normal"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: parameters(SMALL, channels=3), "channels: must be even"),
        (lambda: multiply_adds(SMALL, 4), "too small for the reductions"),
        (lambda: parameters(TrellisSpace(layers=2, filters=2, blocks=1)), r"'trellis' has the groups \['cell', 'trell"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_networks_without_cells_are_refused():
    with pytest.raises(ValueError, match="Linear has none; write a CostTable by hand"):
        list(placed(torch.nn.Linear(1, 1), {}))
