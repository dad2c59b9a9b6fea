"""A stand-in for a benchmark's space: one cell that keeps all edges, where `none` is a choice like any other."""

import pytest

from archgrad.arch import LogitGroup
from archgrad.decode import uniform
from archgrad.genotype import Cell, Genotype

CANDIDATES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


class BenchmarkSpace:
    name, ensemble = "benchmark", ()

    def __init__(self, candidates=CANDIDATES):
        self.groups = (LogitGroup.dense("cell", inputs=1, nodes=3, candidates=candidates, keeps_none=True),)

    def genotype(self, nodes):
        return Genotype(self.name, (Cell("cell", nodes, (3,), inputs=1),))

    def random_genotype(self, generator):
        return self.genotype(uniform(generator, self.groups[0], 3))

    def decode(self, mixture, decoder):
        return self.genotype(decoder(mixture["cell"].numpy(), self.groups[0], 3))

    def supernet(self):
        raise NotImplementedError

    def network(self, genotype):
        raise NotImplementedError

    def check_data(self, shape, num_classes):
        raise NotImplementedError


@pytest.fixture(scope="session")
def benchmark_space():
    return BenchmarkSpace()


@pytest.fixture(scope="session")
def single_genotype_space():
    return BenchmarkSpace(("skip_connect",))
