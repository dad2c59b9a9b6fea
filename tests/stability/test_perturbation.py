"""Perturbed logits: closed forms, the box, and what stays as it is."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.stability import AdversarialPerturbation, Perturbation, RandomPerturbation

KINDS = (RandomPerturbation, AdversarialPerturbation)
MASKS = {
    "normal": torch.tensor([[True, True, False], [True, True, True]]),
    "reduce": torch.ones(1, 2, dtype=torch.bool),
}
SLOPES = {"normal": torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -0.1]]), "reduce": torch.tensor([[-4.0, 4.0]])}


def logits_of(seed=0):
    normal = torch.Generator().manual_seed(seed)
    return {name: torch.randn(mask.shape, generator=normal) for name, mask in MASKS.items()}


def linear(logits):
    return sum((SLOPES[name] * logits[name]).sum() for name in SLOPES)


def softmax_loss(logits):
    return sum((logits[name].softmax(-1) * SLOPES[name]).sum().sin() for name in SLOPES)


def perturb(rule, *, loss=linear, logits=None, masks=MASKS, progress=0.5, seed=0):
    return rule(logits_of() if logits is None else logits, loss, masks=masks, progress=progress, seed=seed)


def distance(perturbed, logits=None):
    start = logits_of() if logits is None else logits
    return max(float((perturbed[name].detach() - start[name].detach()).abs().max()) for name in start)


@pytest.mark.parametrize("random_start", [True, False])
def test_a_linear_loss_is_worst_in_a_corner_of_the_box(random_start):
    rule = AdversarialPerturbation(initial=0.1, final=0.3, random_start=random_start)
    found, start = perturb(rule), logits_of()
    for name, slopes in SLOPES.items():
        inner = MASKS[name] & (slopes != 0)
        expected = start[name] + 0.2 * slopes.sign()
        torch.testing.assert_close(found[name][inner], expected[inner])
        assert torch.equal(found[name][~MASKS[name]], start[name][~MASKS[name]])


def test_logits_that_the_loss_does_not_see_keep_their_random_start():
    still = {"normal": MASKS["normal"] & (SLOPES["normal"] == 0)}
    found = {start: perturb(AdversarialPerturbation(random_start=start))["normal"] for start in (True, False)}
    there = logits_of()["normal"]
    assert torch.equal(found[False][still["normal"]], there[still["normal"]])
    assert not torch.equal(found[True][still["normal"]], there[still["normal"]])


def test_the_random_start_alone_is_random_perturbation():
    def flat(logits):
        return 0.0 * linear(logits)

    assert same(perturb(AdversarialPerturbation(), loss=flat), perturb(RandomPerturbation(), loss=flat))


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**62),
    initial=st.floats(0, 1),
    growth=st.floats(0, 1),
    progress=st.floats(0, 1),
)
def test_within_the_box_and_only_where_a_candidate_is(kind, seed, initial, growth, progress):
    start = {name: tensor.double() for name, tensor in logits_of(seed % 1000).items()}
    rule = kind(initial=initial, final=initial + growth)
    radius = initial + (rule.final - initial) * progress
    found = perturb(rule, loss=softmax_loss, logits=start, progress=progress, seed=seed)
    assert distance(found, start) <= radius + 1e-12
    for name, mask in MASKS.items():
        assert torch.equal(found[name][~mask], start[name][~mask])
        assert not found[name].requires_grad


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), radius=st.floats(0.01, 5.0), steps=st.integers(1, 3))
def test_ascent_never_lowers_a_loss(seed, radius, steps):
    rule = AdversarialPerturbation(initial=radius, final=radius, steps=steps)
    start = logits_of(seed)
    for loss in (linear, softmax_loss, lambda logits: logits["reduce"].square().sum()):
        found = perturb(rule, loss=loss, logits=start, seed=seed)
        assert loss(found) >= loss(start)


def test_a_loss_that_is_no_number_at_the_end_leaves_the_logits_alone():
    found = perturb(AdversarialPerturbation(), loss=lambda logits: linear(logits) * (logits["reduce"] - 9).sqrt().sum())
    assert same(found, logits_of())


def test_the_radius_grows_linearly():
    rule = AdversarialPerturbation(initial=0.1, final=0.5)
    radii = [distance(perturb(rule, progress=progress)) for progress in (0.0, 0.25, 0.5, 1.0)]
    assert radii == pytest.approx([0.1, 0.2, 0.3, 0.5], rel=1e-5)


def test_uniform_noise_has_the_moments_of_the_box():
    logits, masks = {"a": torch.zeros(200, 50)}, {"a": torch.ones(200, 50, dtype=torch.bool)}
    noise = perturb(RandomPerturbation(initial=0.3), logits=logits, masks=masks)["a"]
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.01)
    assert float(noise.var()) == pytest.approx(0.3**2 / 3, rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_gives_the_noise_and_groups_differ(kind):
    logits = {"a": torch.zeros(3, 4), "b": torch.zeros(3, 4)}
    masks = {name: torch.ones(3, 4, dtype=torch.bool) for name in logits}

    def shallow(logits):
        return 0.0 * (logits["a"].sum() + logits["b"].sum())

    first, again, other = (perturb(kind(), loss=shallow, logits=logits, masks=masks, seed=seed) for seed in (1, 1, 2))
    assert same(first, again)
    assert not torch.equal(first["a"], other["a"])
    assert not torch.equal(first["a"], first["b"])


@pytest.mark.parametrize("kind", KINDS)
def test_groups_without_a_mask_and_torchs_generator_stay(kind):
    state = torch.get_rng_state()
    found = perturb(kind(), masks={"normal": MASKS["normal"]})
    assert torch.equal(found["reduce"], logits_of()["reduce"])
    assert not torch.equal(found["normal"], logits_of()["normal"])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", KINDS)
def test_members_of_an_ensemble_are_perturbed_each_for_itself(kind):
    logits, masks = {"a": torch.zeros(5, 2, 3)}, {"a": MASKS["normal"]}
    found = perturb(kind(), loss=lambda logits: logits["a"].square().sum(), logits=logits, masks=masks)["a"]
    assert found.shape == (5, 2, 3)
    assert (found[:, 0, 2] == 0).all()
    assert len(found[:, 0, 0].unique()) > 1


def test_the_inputs_stay_as_they_are():
    logits = {name: tensor.requires_grad_() for name, tensor in logits_of().items()}
    with torch.no_grad():
        perturb(AdversarialPerturbation(), loss=softmax_loss, logits=logits)
    assert same(logits, logits_of())
    assert all(tensor.grad is None for tensor in logits.values())


def test_every_argument_of_the_ascent_counts():
    rule = AdversarialPerturbation(initial=0.2, final=0.4, step_size=0.5)
    base = perturb(rule, loss=softmax_loss)
    for change in ({"initial": 0.1}, {"final": 0.6}, {"steps": 2}, {"step_size": 1.0}, {"random_start": False}):
        assert not same(base, perturb(replace(rule, **change), loss=softmax_loss)), change


def test_one_step_of_the_ascent_has_its_length():
    rule = AdversarialPerturbation(initial=0.2, final=0.2, steps=4, step_size=1.0, random_start=False)
    visited = []

    def watched(logits):
        visited.append(distance(logits))
        return linear(logits)

    perturb(rule, loss=watched)
    assert visited[:4] == pytest.approx([0.0, 0.05, 0.1, 0.15], abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_follow_the_protocol(kind):
    assert isinstance(kind(), Perturbation)
    assert kind.citation == "2002.05283"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"initial": -0.1}, "initial"),
        ({"initial": 0.5, "final": 0.3}, "final"),
        ({"steps": 0}, "steps"),
        ({"step_size": 0.0}, "step_size"),
    ],
)
def test_bad_arguments(arguments, named):
    with pytest.raises(ValueError, match=f"^{named}: must be"):
        AdversarialPerturbation(**arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_progress_outside_the_search(kind):
    with pytest.raises(ValueError, match=r"^progress: must lie in \[0.0, 1.0\], got 1.5"):
        perturb(kind(), progress=1.5)
