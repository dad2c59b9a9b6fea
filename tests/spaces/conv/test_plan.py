"""The stack of cells: where reductions stand, what each cell reads."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.spaces.conv.plan import reductions, stack, stem_width

FOUR = {"normal": 4, "reduce": 4}


def test_eight_cells():
    plans = stack(16, 8, stem="cifar", outputs=FOUR)
    assert [plan.kind == "reduce" for plan in plans] == [layer in (2, 5) for layer in range(8)]
    assert [plan.channels for plan in plans] == [16, 16, 32, 32, 32, 64, 64, 64]
    assert [plan.inputs for plan in plans[:4]] == [(48, 48), (48, 64), (64, 64), (64, 128)]
    assert [plan.halves_first for plan in plans] == [layer in (3, 6) for layer in range(8)]
    assert [plan.input_stride for plan in plans] == [2 if layer in (2, 5) else 1 for layer in range(8)]


@pytest.mark.parametrize(("layers", "expected"), [(3, (1, 2)), (8, (2, 5)), (14, (4, 9)), (20, (6, 13))])
def test_reductions_at_a_third_and_two_thirds(layers, expected):
    assert reductions(layers) == expected


def test_imagenet_stem_counts_as_a_reduction():
    plans = stack(48, 14, stem="imagenet", outputs=FOUR)
    assert plans[0].inputs == (48, 48)
    assert [layer for layer, plan in enumerate(plans) if plan.halves_first] == [0, 5, 10]
    assert (stem_width("imagenet", 48), stem_width("cifar", 48)) == (48, 144)


def test_unknown_stem():
    with pytest.raises(ValueError, match=r"stem: 'cifar10' is unknown; did you mean 'cifar'\? Allowed: cifar, image"):
        stem_width("cifar10", 16)


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 30), st.integers(1, 6), st.integers(1, 6), st.sampled_from(["cifar", "imagenet"]))
def test_widths_and_sizes_follow_from_the_cells_before(layers, normal, reduce, stem):
    outputs = {"normal": normal, "reduce": reduce}
    plans = stack(8, layers, stem=stem, outputs=outputs)
    widths = [stem_width(stem, 8)] * 2 + [outputs[plan.kind] * plan.channels for plan in plans]
    sizes = [2, 1] if stem == "imagenet" else [1, 1]
    for layer, plan in enumerate(plans):
        assert plan.inputs == (widths[layer], widths[layer + 1])
        assert plan.halves_first == (sizes[layer] == 2 * sizes[layer + 1])
        sizes.append(sizes[layer + 1] / plan.input_stride)
    assert plans[-1].channels == 32
