"""A saved state is whole, and does not change with the search that goes on."""

import copy

import pytest
import torch

from archgrad import Searcher, SearchSettings


@pytest.fixture
def searcher(tiny_space):
    return Searcher(tiny_space, steps_per_epoch=1, settings=SearchSettings(epochs=2), device="cpu")


def test_the_seed_is_saved(searcher):
    state, other = searcher.init(seed=3), searcher.init(seed=4)
    assert (state.seed, other.seed) == (3, 4)
    other.load_state_dict(copy.deepcopy(state.state_dict()))
    assert other.seed == 3
    for name, tensor in state.logits.items():
        assert torch.equal(other.logits[name], tensor)


def test_states_saved_without_a_seed_can_still_be_loaded(searcher):
    state = searcher.init(seed=3)
    saved = copy.deepcopy(state.state_dict())
    del saved["seed"]
    state.load_state_dict(saved)
    assert state.seed == 3
