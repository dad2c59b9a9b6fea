"""Diagnostics against closed forms, scipy, and what they must not depend on."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from archgrad.arch import LogitGroup
from archgrad.diagnostics import cosine, entropies, gap, skips
from archgrad.genotype import DARTS_V1_RECURRENT, NASNET, PUBLISHED

NAMES = ("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3")
GROUP = LogitGroup.dense("normal", inputs=2, nodes=2, candidates=NAMES)
NARROW = LogitGroup.dense("reduce", inputs=2, nodes=1, candidates=NAMES, choices={(0, 2): NAMES[:2], (1, 2): NAMES[3:]})


def weights(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_entropy_is_that_of_scipy_whatever_the_size_of_the_weights():
    p = weights(0, *GROUP.shape)  # independent sigmoids: rows do not sum to one
    found = entropies({"normal": p}, [GROUP])["normal"]
    np.testing.assert_allclose(found, entropy(p.double().numpy(), axis=1), rtol=1e-12)
    np.testing.assert_allclose(entropies({"normal": 0.01 * p}, [GROUP])["normal"], found, rtol=1e-5)


def test_entropy_lies_between_nothing_and_the_logarithm_of_the_number_of_candidates():
    even, decided = torch.full(GROUP.shape, 0.25), torch.eye(4)[[0, 1, 2, 3, 0]]
    np.testing.assert_allclose(entropies({"normal": even}, [GROUP])["normal"], math.log(4), rtol=1e-15)
    assert entropies({"normal": decided}, [GROUP])["normal"] == [0.0] * 5


def test_entropy_counts_only_candidates_that_an_edge_has():
    p = torch.full(NARROW.shape, 0.25)
    assert entropies({"reduce": p}, [NARROW])["reduce"] == pytest.approx([math.log(2), 0.0])


def test_entropies_of_every_group_and_of_edge_weights():
    edges = GROUP.node_weights()
    mixture = {"normal": weights(0, *GROUP.shape), "normal_edges": torch.ones(edges.shape) * edges.mask_tensor()}
    found = entropies(mixture, [GROUP, edges])
    assert list(found) == ["normal", "normal_edges"]
    assert found["normal_edges"] == pytest.approx([math.log(2), math.log(3)])


def test_entropy_of_an_ensemble_is_the_mean_over_members_that_have_one():
    p = weights(1, 3, *GROUP.shape)
    alone = np.array([entropies({"normal": member}, [GROUP])["normal"] for member in p])
    np.testing.assert_allclose(entropies({"normal": p}, [GROUP])["normal"], alone.mean(axis=0))
    p[1, 2, 0] = math.nan
    found = entropies({"normal": p}, [GROUP])["normal"]
    assert found[2] == pytest.approx(alone[[0, 2], 2].mean())
    assert found[0] == pytest.approx(alone[:, 0].mean())


@pytest.mark.parametrize(
    "row", [[math.nan, 0.5, 0.5, 0.5], [math.inf, 1.0, 1.0, 1.0], [0.0] * 4, [-0.5, 1.0, 1.0, 1.0]]
)
def test_entropy_that_is_not_defined_is_none(row):
    p = torch.full(GROUP.shape, 0.25)
    p[1] = torch.tensor(row, dtype=torch.float32)
    found = entropies({"normal": p}, [GROUP])["normal"]
    assert found[1] is None
    assert None not in found[2:]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_entropy_has_no_graph():
    p = weights(0, *GROUP.shape).requires_grad_()
    assert all(type(value) is float for value in entropies({"normal": p}, [GROUP])["normal"])


def test_skips_are_counted_by_cell():
    assert skips(NASNET) == {"normal": 2, "reduce": 1}
    assert skips(DARTS_V1_RECURRENT) == {"recurrent": 0}
    for genotype in PUBLISHED.values():
        assert sum(skips(genotype).values()) == str(genotype).count("skip_connect(")


def gradients(seed, *leading):
    return {"a": weights(seed, *leading, 3, 4) - 0.5, "b": weights(seed + 100, *leading, 2, 2) - 0.5}


def flat(gradient):
    return np.concatenate([gradient[name].numpy().ravel() for name in ("a", "b")]).astype(np.float64)


def test_cosine_is_that_of_all_groups_as_one_vector():
    before, now = gradients(0), gradients(1)
    first, second = flat(before), flat(now)
    expected = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert cosine(before, now) == pytest.approx(expected, rel=1e-12)
    assert cosine({"b": before["b"], "a": before["a"]}, now) == cosine(before, now)


@settings(max_examples=20, deadline=None, database=None)
@given(st.integers(0, 50), st.floats(1e-6, 1e6))
def test_cosine_depends_on_directions_alone(seed, scale):
    before, now = gradients(seed), gradients(seed + 1)
    scaled = {name: scale * gradient for name, gradient in now.items()}
    assert cosine(before, scaled) == pytest.approx(cosine(before, now), abs=1e-6)
    assert cosine(now, scaled) == pytest.approx(1.0)
    assert cosine(now, {name: -gradient for name, gradient in now.items()}) == pytest.approx(-1.0)
    assert -1 <= cosine(now, now) <= 1


def test_cosine_of_an_ensemble_is_the_mean_over_its_members():
    before, now = gradients(0, 3), gradients(1, 3)
    alone = [
        cosine({n: g[member] for n, g in before.items()}, {n: g[member] for n, g in now.items()}) for member in range(3)
    ]
    assert cosine(before, now) == pytest.approx(np.mean(alone))
    for name in now:
        now[name][1] = 0.0  # a member that has diverged
    assert cosine(before, now) == pytest.approx(np.mean([alone[0], alone[2]]))


def test_cosine_that_is_not_defined_is_none():
    now = gradients(0)
    zero = {name: torch.zeros_like(gradient) for name, gradient in now.items()}
    broken = {**now, "a": now["a"] * math.nan}
    assert cosine(None, now) is None
    assert cosine(zero, now) is cosine(now, zero) is cosine(zero, zero) is None
    assert cosine(broken, now) is cosine(now, broken) is None
    assert cosine({"a": now["a"]}, now) is None
    assert cosine({**now, "a": now["a"][:2]}, now) is None


def test_gap_is_decoded_minus_mixed():
    seen = []

    def evaluate(mixture):
        seen.append(mixture["cell"])
        return {"loss": 2.0 * mixture["cell"].item(), "accuracy": 0.5 * mixture["cell"].item(), "iou": 1.0}

    mixture, decoded = {"cell": torch.tensor(0.25)}, {"cell": torch.tensor(1.0)}
    assert gap(evaluate, mixture, decoded) == {"gap_loss": 1.5, "gap_accuracy": 0.375}
    assert seen == [0.25, 1.0]
    assert gap(evaluate, mixture, mixture) == {"gap_loss": 0.0, "gap_accuracy": 0.0}


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_gap_that_is_not_known_is_absent(loss):
    values = iter([{"loss": 1.0, "accuracy": 0.5}, {"loss": loss, "accuracy": 0.25}])
    assert gap(lambda mixture: next(values), {}, {}) == {"gap_accuracy": -0.25}
    assert gap(lambda mixture: {"loss": 1.0}, {}, {}) == {"gap_loss": 0.0}
