"""A space of cells that are tables alone, and a finished search on it whose accuracy is a known function."""

import numpy as np
import pytest
import torch

from archgrad.arch import LogitGroup
from archgrad.decode import top_k, uniform
from archgrad.genotype import Cell, Genotype

CANDIDATES = ("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3")


class TableSpace:
    """Cells of the given groups, each of which keeps `keep` edges into a node; nothing that could be trained."""

    name, ensemble = "table", ()

    def __init__(self, *groups, keep=2):
        self.groups, self.keep = groups, keep

    def cell(self, group, nodes):
        inputs = min(target for _, target in group.edges)
        return Cell(group.name, nodes, tuple(range(inputs, inputs + len(nodes))), inputs)

    def genotype(self, nodes_of):
        cells = (self.cell(group, nodes_of(group)) for group in self.groups if group.role == "operations")
        return Genotype(self.name, tuple(cells))

    def decode(self, mixture, decoder):
        return self.genotype(lambda group: decoder(mixture[group.name].numpy(), group, self.keep))

    def random_genotype(self, generator):
        return self.genotype(lambda group: uniform(generator, group, self.keep))

    def supernet(self):
        raise NotImplementedError

    def network(self, genotype):
        raise NotImplementedError

    def check_data(self, shape, num_classes):
        raise NotImplementedError


class EncodingSpace(TableSpace):
    """The same, whose genotypes are one-hot mixtures too."""

    def encode(self, genotype):
        mixture = {group.name: torch.zeros(group.shape) for group in self.groups}
        for group in self.groups:
            if group.role != "operations":
                continue
            cell = genotype[group.name]
            for node, edges in enumerate(cell.nodes):
                for edge in edges:
                    row = group.edges.index((edge.source, cell.inputs + node))
                    mixture[group.name][row, group.candidates.index(edge.operation)] = 1
        return mixture


class TableProbe:
    """A search that is over: its supernet's accuracy is `accuracy(mixture, steps of tuning so far)`."""

    def __init__(self, space, mixture, accuracy, *, seed=0, decoder=top_k, loss=None):
        self.space, self.mixture, self.seed, self.decoder = space, mixture, seed, decoder
        self.accuracy, self.loss = accuracy, loss or (lambda mixture, steps: -accuracy(mixture, steps))
        self.log, self.tuned = [], 0

    def evaluate(self, mixture):
        self.log.append(("evaluate", {name: weights.clone() for name, weights in mixture.items()}))
        return {"accuracy": float(self.accuracy(mixture, self.tuned)), "loss": float(self.loss(mixture, self.tuned))}

    def tune(self, mixture, steps):
        self.log.append((steps, {name: weights.clone() for name, weights in mixture.items()}))
        self.tuned += steps

    @property
    def evaluated(self):
        return [mixture for kind, mixture in self.log if kind == "evaluate"]

    @property
    def tunings(self):
        return [(kind, mixture) for kind, mixture in self.log if kind != "evaluate"]


@pytest.fixture(scope="session")
def fakes():
    """The classes above, and makers of groups and of random mixtures and values for them."""

    class Fakes:
        Space, Plain, Probe = EncodingSpace, TableSpace, TableProbe

        @staticmethod
        def group(name="cell", *, inputs=2, nodes=2, **more):
            return LogitGroup.dense(name, inputs=inputs, nodes=nodes, **{"candidates": CANDIDATES, **more})

        @staticmethod
        def mixture(space, seed=0):
            generator = torch.Generator().manual_seed(seed)
            masked = {
                group.name: torch.rand(group.shape, generator=generator) * group.mask_tensor() for group in space.groups
            }
            return {name: weights / weights.sum(dim=1, keepdim=True) for name, weights in masked.items()}

        @staticmethod
        def values(space, seed=0):
            """How much each candidate of each edge is worth; `none` nothing."""
            generator = np.random.default_rng(seed)
            tables = {group.name: generator.uniform(0.1, 1, size=group.shape) for group in space.groups}
            for group in space.groups:
                if "none" in group.candidates:
                    tables[group.name][:, group.candidates.index("none")] = 0
            return {name: torch.from_numpy(table).float() for name, table in tables.items()}

        @staticmethod
        def worth(values):
            """The accuracy that is the sum over all candidates of what they are worth times their weights."""
            return lambda mixture, steps: sum((values[name] * mixture[name]).sum() for name in values)

    return Fakes
