"""Selections on the library's own cells: what they return belongs to the space, with and without edge weights."""

import pytest
import torch

from archgrad.decode import top_k
from archgrad.mixing import Mixing
from archgrad.selection import OneShot, PerturbationSelection, SampledSelection
from archgrad.spaces import ConvCellSpace
from archgrad.spaces.nasbench201 import NASBench201Space

CONV = ConvCellSpace(nodes=3, candidates=("none", "skip_connect", "sep_conv_3x3"))
SPACES = {
    "conv": CONV,
    "conv with edge weights": CONV.mixed(Mixing(edge_normalisation=True)),
    "conv with choices": ConvCellSpace(
        nodes=2, choices={"normal": {(0, 2): ("none", "skip_connect"), (1, 3): ("sep_conv_3x3", "none")}}
    ),
    "nasbench201": NASBench201Space(),
    "nasbench201 with edge weights": NASBench201Space(mixing=Mixing(edge_normalisation=True)),
}
SELECTIONS = (PerturbationSelection(tune_epochs=1), OneShot(4), OneShot(4, draw="uniform"), SampledSelection(3))


@pytest.mark.parametrize("selection", SELECTIONS, ids=repr)
@pytest.mark.parametrize("name", SPACES)
def test_what_is_selected_belongs_to_the_space(fakes, name, selection):
    space = SPACES[name]
    probe = fakes.Probe(space, fakes.mixture(space), fakes.worth(fakes.values(space)))
    genotype = selection(probe)
    encoded = space.encode(genotype)
    again = space.decode(encoded, top_k)
    edges = [[sorted(node) for cell in each.cells for node in cell.nodes] for each in (genotype, again)]
    assert edges[0] == edges[1]
    keep = 3 if space.name == "nasbench201" else 2
    sources = [[edge.source for edge in node] for cell in genotype.cells for node in cell.nodes]
    assert all(len(set(node)) == len(node) == min(keep, len(node)) for node in sources)


def test_perturbation_of_a_benchmark_cell_is_the_best_of_each_edge(fakes):
    space = NASBench201Space()
    values = fakes.values(space)
    mixture = {"cell": torch.full((6, 5), 0.2)}
    found = PerturbationSelection(tune_epochs=0)(fakes.Probe(space, mixture, fakes.worth(values)))
    best = [space.groups[0].candidates[o] for o in values["cell"].argmax(dim=1).tolist()]
    assert list(found["cell"].operations) == best
