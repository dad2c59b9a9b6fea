"""Searches of the benchmark's space by rows of the table of methods: whole, reproducible, and decoded to a cell."""

import pytest
import torch

import archgrad as ag
from archgrad.spaces.nasbench201 import NASBench201Space, arch_string

SPACE = NASBench201Space(channels=4, cells=1, num_classes=2, in_channels=1)


@pytest.mark.parametrize("method", ["darts-first-order", "gdas", "pc-darts"])
def test_a_search_ends_with_a_cell_of_the_benchmark(tiny_data, method):
    result = ag.search(SPACE, train=tiny_data, method=method, epochs=1, warmup_epochs=0, batch_size=6, seed=1)
    again = ag.search(SPACE, train=tiny_data, method=method, epochs=1, warmup_epochs=0, batch_size=6, seed=1)
    assert arch_string(result.genotype) == arch_string(again.genotype)
    assert torch.equal(result.logits["cell"], again.logits["cell"])
    other = ag.search(SPACE, train=tiny_data, method=method, epochs=1, warmup_epochs=0, batch_size=6, seed=2)
    assert not torch.equal(result.logits["cell"], other.logits["cell"])
