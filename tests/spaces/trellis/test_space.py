"""The space: its table, decoding, random architectures, what it refuses."""

import itertools

import numpy as np
import pytest

from archgrad.decode import top_k
from archgrad.genotype import TRELLIS
from archgrad.spaces import Space, TrellisSpace
from archgrad.spaces.trellis.plan import check_path


def test_groups_of_the_paper():
    cell, trellis = TrellisSpace(layers=12, filters=8, blocks=5, num_classes=19).groups
    assert cell.shape == (20, 8)
    assert cell.candidates == (
        "none",
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "atrous_conv_3x3",
        "atrous_conv_5x5",
    )
    assert trellis.candidates == ("halve", "keep", "double")
    assert trellis.edges[:7] == ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (3, 0))
    assert trellis.choices[0] == ("keep", "double")


def test_a_node_has_blocks_times_filters_channels_doubled_with_the_stride():
    space = TrellisSpace(filters=8, blocks=5)
    assert [space.width(level) for level in range(4)] == [40, 80, 160, 320]
    assert space.width(-1) == 20


def test_is_a_space():
    assert isinstance(TrellisSpace(), Space)
    assert TrellisSpace().name == TRELLIS


def test_decoding_takes_the_viterbi_path_and_never_none(tiny, random_logits, relax):
    space = tiny(layers=4, levels=3)
    for seed in range(5):
        mixture = relax(space, random_logits(space, seed))
        genotype = space.decode(mixture, top_k)
        assert genotype.path == space.paths(mixture)[0].states
        assert "none" not in genotype.cells[0].operations
        assert [len(edges) for edges in genotype.cells[0].nodes] == [2] * space.blocks
        assert genotype.cells[0].outputs == (2, 3)


def test_all_paths_with_their_probabilities(tiny, random_logits, relax):
    space = tiny(layers=4, levels=3)
    paths = space.paths(relax(space, random_logits(space)), 1000)
    assert len(paths) == space.trellis.count_paths()
    assert sum(path.probability for path in paths) == pytest.approx(1.0)
    assert all(first.probability >= second.probability for first, second in itertools.pairwise(paths))


def test_random_architectures_differ_and_lie_in_the_space(tiny):
    space = tiny(layers=5, levels=3)
    drawn = [space.random_genotype(np.random.default_rng(seed)) for seed in range(8)]
    assert len(set(drawn)) == 8
    for genotype in drawn:
        check_path(genotype.path, levels=3)
        assert len(genotype.path) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers: must be at least 1, got 0"),
        ({"filters": 2.5}, "filters: must be a whole number, got 2.5"),
        ({"levels": 0}, "levels: must be at least 1"),
        ({"num_classes": 1}, "num_classes: must be at least 2, got 1"),
        ({"candidates": ("none",)}, "needs at least one operation other than 'none'"),
        ({"candidates": ("none", "atrous_conv_7x7")}, "candidates: 'atrous_conv_7x7' is unknown; did you mean"),
        ({"candidates": ("skip_connect", "skip_connect")}, "lists a candidate twice"),
        ({"reading": "mixed_input"}, "reading: 'mixed_input' is unknown; did you mean 'mixed_inputs'"),
    ],
)
def test_bad_sizes(changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        TrellisSpace.__post_init__(_unchecked(changes))


def _unchecked(changes):
    """A space with its fields set past the type checks of the tests."""
    space = object.__new__(TrellisSpace)
    for name in TrellisSpace.__dataclass_fields__:
        object.__setattr__(space, name, changes.get(name, getattr(TrellisSpace, name)))
    return space


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((3, 31, 64), 19, "images: 31×64 is too small for stride 32; allowed is 32×32 and above, or fewer levels"),
        ((1, 64, 64), 19, "in_channels: the space reads 3 channels, the images have 1"),
        ((3, 64), 19, "need the shape"),
        ((3, 64, 64), 11, "num_classes: the space has 19, the data has 11"),
    ],
)
def test_data_that_does_not_fit(shape, classes, message):
    with pytest.raises(ValueError, match=message):
        TrellisSpace().check_data(shape, classes)


def test_fewer_levels_allow_smaller_images():
    TrellisSpace(levels=2).check_data((3, 8, 8), None)
    TrellisSpace(layers=1).check_data((3, 8, 8), None)


def test_supernet_has_no_logits(tiny):
    space = tiny()
    shapes = {tuple(weight.shape) for weight in space.supernet().parameters()}
    assert not {group.shape for group in space.groups} & shapes
    with pytest.raises(ValueError, match="engine: 'bundle' is unknown; did you mean 'bundled'"):
        space.supernet(engine="bundle")
