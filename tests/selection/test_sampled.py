"""Sampling: a draw from the mixture, or the most probable of several."""

import math

import pytest

from archgrad.decode import top_k
from archgrad.selection import SampledSelection


def probability(space, mixture, genotype):
    (weights,) = space.encode(genotype).values()
    return math.prod(mixture["cell"][weights > 0].tolist())


def test_many_draws_give_the_most_probable_genotype_few_a_random_one(fakes):
    space = fakes.Space(fakes.group(nodes=2, candidates=("none", "skip_connect", "sep_conv_3x3")))
    mixture = fakes.mixture(space)
    best = probability(space, mixture, space.decode(mixture, top_k))

    def chance(count, seed):
        found = SampledSelection(count)(fakes.Probe(space, mixture, None, seed=seed))
        return probability(space, mixture, found)

    assert chance(150, 0) == pytest.approx(best)
    single = [chance(1, seed) for seed in range(12)]
    assert len(set(single)) > 3
    assert all(chance(5, seed) >= alone for seed, alone in enumerate(single))  # the first draw is among the five
    assert chance(1, 3) == chance(1, 3)


def test_nothing_is_evaluated(fakes):
    space = fakes.Space(fakes.group())
    probe = fakes.Probe(space, fakes.mixture(space), None)
    SampledSelection()(probe)
    assert probe.log == []


def test_what_makes_no_sense_is_refused(fakes):
    with pytest.raises(ValueError, match=r"count: must be at least 1, got 0"):
        SampledSelection(0)
    plain = fakes.Plain(fakes.group())
    with pytest.raises(ValueError, match=r"selection: needs a space .* which 'table' is not"):
        SampledSelection()(fakes.Probe(plain, fakes.mixture(plain), None))
