import torch

from archgrad.seeding import derive, generator


def test_keys_are_told_apart():
    keys = [(0,), (1,), (0, "a"), (0, "b"), (0, "a", 1), (0, "a", 2), (0, "1"), (0, 1)]
    seeds = [derive(*key) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_the_same_everywhere():
    """A literal: a saved search must go on equally under another version of Python or the library."""
    assert derive(0, "permutation", 3) == 7732582917274946757


def test_generators_of_equal_keys_agree():
    first, second = (torch.rand(3, generator=generator(5, "x", 1)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, torch.rand(3, generator=generator(5, "x", 2)))
