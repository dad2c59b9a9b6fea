"""Uniform paths: one-hot, uniform over what an edge has, independent between edges, and blind to the logits."""

import torch

from archgrad.relax import Sampled, UniformPath

MASK = torch.tensor([[True, True, False, True], [False, True, True, False], [False, False, False, True]])
LOGITS = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
DRAWS = 4000


def many(seed=0):
    return UniformPath().at(seed)(LOGITS.expand(DRAWS, 3, 4), MASK)


def test_every_row_has_one_weight_of_exactly_one():
    paths = many()
    assert set(paths.unique().tolist()) == {0.0, 1.0}
    assert (paths.sum(dim=-1) == 1).all()
    assert (paths[:, ~MASK] == 0).all()


def test_candidates_are_equally_likely():
    """Within five standard errors."""
    frequencies, mean = many().mean(dim=0), UniformPath()(LOGITS, MASK)
    assert (frequencies - mean).abs().max() < 5 * 0.5 / DRAWS**0.5
    torch.testing.assert_close(mean, MASK / MASK.sum(dim=1, keepdim=True))


def test_edges_are_independent():
    paths = many()
    together = torch.einsum("da,db->ab", paths[:, 0], paths[:, 1]) / DRAWS
    expected = torch.outer(paths[:, 0].mean(dim=0), paths[:, 1].mean(dim=0))
    assert (together - expected).abs().max() < 5 * 0.25 / DRAWS**0.5


def test_the_logits_play_no_part():
    sample = UniformPath().at(3)
    logits = LOGITS.clone().requires_grad_()
    assert torch.equal(sample(logits, MASK), sample(1e3 * torch.randn(3, 4), MASK))
    assert not sample(logits, MASK).requires_grad
    assert UniformPath()(LOGITS.double().expand(2, 3, 4), MASK).shape == (2, 3, 4)
    assert sample(LOGITS.double(), MASK).dtype == torch.float64


def test_equal_seeds_are_equal_paths_and_leave_no_trace():
    before = torch.random.get_rng_state()
    first, second, other = many(1), many(1), many(2)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())
    assert isinstance(UniformPath(), Sampled)
    assert UniformPath().at(0).one_hot
