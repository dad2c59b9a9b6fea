"""One-shot evaluation: the best of the candidates by brute force, and what the arguments do."""

import pytest
import torch

from archgrad.decode import top_k, uniform
from archgrad.selection import OneShot, Selection


@pytest.fixture
def space(fakes):
    return fakes.Space(fakes.group(nodes=1, inputs=3, candidates=("none", "skip_connect", "sep_conv_3x3")))


def probe_of(fakes, space, **arguments):
    values = fakes.values(space)
    return fakes.Probe(space, fakes.mixture(space), fakes.worth(values), **arguments)


@pytest.mark.parametrize("how", ["mixture", "uniform"])
def test_enough_draws_find_the_best_genotype_of_all(fakes, space, how):
    probe = probe_of(fakes, space)
    values = fakes.values(space)["cell"]
    found = OneShot(400, draw=how)(probe)["cell"].nodes[0]
    strongest = values.max(dim=1).values.argsort(descending=True)[:2].tolist()
    best = {(space.groups[0].candidates[int(values[row].argmax())], row) for row in strongest}
    assert set(found) == best
    # 3 pairs of edges with 2 · 2 operations, each once; what is decoded may have its edges in another order
    assert len(probe.evaluated) in (12, 13 if how == "mixture" else 12)


def test_each_candidate_is_evaluated_as_the_hard_choice_that_it_is(fakes, space):
    probe = probe_of(fakes, space)
    OneShot(5)(probe)
    for mixture in probe.evaluated:
        assert set(mixture["cell"].unique().tolist()) == {0.0, 1.0}
        assert mixture["cell"].sum() == 2
    assert not probe.tunings


def test_with_draws_from_the_mixture_the_decoded_genotype_takes_part(fakes, space):
    def weakest(weights, group, keep):
        return top_k(-weights, group, keep)

    certain = torch.zeros(3, 3)
    certain[:2, 1], certain[2, 2] = 1.0, 1e-30  # draws are practically always the first two edges
    decoded = space.decode({"cell": certain}, weakest)
    worst_first = fakes.Probe(
        space, {"cell": certain}, lambda mixture, steps: mixture["cell"][2].sum(), decoder=weakest
    )
    assert OneShot(3, draw="mixture")(worst_first) == decoded
    assert len(worst_first.evaluated) == 2
    assert torch.equal(worst_first.evaluated[0]["cell"], space.encode(decoded)["cell"])


def test_equal_accuracies_are_decided_by_the_loss_and_then_by_the_order(fakes, space):
    values = fakes.values(space, seed=1)["cell"]
    lower = fakes.Probe(
        space, fakes.mixture(space), lambda mixture, steps: 1.0, loss=lambda m, steps: (values * m["cell"]).sum()
    )
    found = space.encode(OneShot(400, draw="uniform")(lower))["cell"]
    assert float((values * found).sum()) == pytest.approx(
        min(float((values * m["cell"]).sum()) for m in lower.evaluated)
    )
    equal = fakes.Probe(space, fakes.mixture(space), lambda mixture, steps: 1.0, loss=lambda m, steps: 1.0)
    assert OneShot(20)(equal) == space.decode(equal.mixture, top_k)


def test_every_argument_and_the_seed_change_the_candidates(fakes, space):
    def evaluated(count, seed=0, **arguments):
        probe = probe_of(fakes, space, seed=seed)
        OneShot(count, **arguments)(probe)
        return {tuple(mixture["cell"].flatten().tolist()) for mixture in probe.evaluated}

    assert evaluated(3) == evaluated(3)
    assert evaluated(3) < evaluated(30)
    assert evaluated(3) != evaluated(3, draw="uniform")
    assert evaluated(3) != evaluated(3, seed=1)


def test_uniform_draws_are_the_spaces_own(fakes, space):
    drawn = []
    space.random_genotype = lambda generator: (
        drawn.append(space.genotype(lambda group: uniform(generator, group, 2))) or drawn[-1]
    )
    probe = probe_of(fakes, space)
    assert OneShot(4, draw="uniform")(probe) in drawn
    assert len(drawn) == 4


def test_what_makes_no_sense_is_refused(fakes):
    with pytest.raises(ValueError, match=r"count: must be at least 1, got 0"):
        OneShot(0)
    with pytest.raises(ValueError, match=r"draw: 'unifrom' is unknown; did you mean 'uniform'\?"):
        OneShot(1, draw="unifrom")
    plain = fakes.Plain(fakes.group())
    with pytest.raises(ValueError, match=r"selection: needs a space .* which 'table' is not"):
        OneShot(1)(fakes.Probe(plain, fakes.mixture(plain), lambda mixture, steps: 0.0))
    assert isinstance(OneShot(1), Selection)
