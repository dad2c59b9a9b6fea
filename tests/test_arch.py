import numpy as np
import pytest
import torch

from archgrad.arch import LogitGroup

CANDIDATES = ("none", "skip_connect", "max_pool_3x3")


def test_dense_cell():
    group = LogitGroup.dense("normal", inputs=2, nodes=4, candidates=CANDIDATES)
    assert group.shape == (14, 3)
    assert group.edges[:5] == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    assert group.mask.all()
    for row, (source, target) in enumerate(group.edges):
        assert row in group.leaving(source)
        assert row in group.entering(target)
    assert [len(group.leaving(source)) for source in range(6)] == [4, 4, 3, 2, 1, 0]
    assert [len(group.entering(target)) for target in range(6)] == [0, 0, 2, 3, 4, 5]
    assert hash(group) == hash(LogitGroup.dense("normal", inputs=2, nodes=4, candidates=CANDIDATES))


def test_one_input():
    group = LogitGroup.dense("cell", inputs=1, nodes=8, candidates=CANDIDATES)
    assert group.shape == (36, 3)


def test_choices_mask_single_edges_in_the_order_of_the_candidates():
    choices = {(1, 2): ["max_pool_3x3", "none"]}
    group = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=CANDIDATES, choices=choices)
    assert group.choices == (CANDIDATES, ("none", "max_pool_3x3"))
    expected = np.array([[True, True, True], [True, False, True]])
    assert np.array_equal(group.mask, expected)
    assert torch.equal(group.mask_tensor(), torch.from_numpy(expected))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({(2, 2): ["none"]}, r"choices: group 'cell' has no edge \(2, 2\); its edges are \[\(0, 2\), \(1, 2\)\]"),
        ({(0, 2): ["skip"]}, r"choices: edge \(0, 2\) of group 'cell' lists \['skip'\]; allowed is a non-empty subset"),
        ({(0, 2): []}, r"choices: edge \(0, 2\) of group 'cell' lists \[\]; allowed is a non-empty subset"),
    ],
)
def test_choices_that_do_not_fit(choices, message):
    with pytest.raises(ValueError, match=message):
        LogitGroup.dense("cell", inputs=2, nodes=1, candidates=CANDIDATES, choices=choices)
