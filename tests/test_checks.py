import math

import pytest

from archgrad.checks import above, at_least, one_of, share, whole, within


def test_what_is_allowed_passes():
    assert one_of("engine", "bundled", ["bundled", "per_edge"]) == "bundled"
    at_least("epochs", 1, 1)
    above("scale", 1e-9, 0)
    within("momentum", 0, (0, 1))
    within("momentum", 1, (0, 1))


def test_names_that_are_near_are_suggested():
    with pytest.raises(
        ValueError, match=r"^engine: 'bundle' is unknown; did you mean 'bundled'\? Allowed: bundled, x\.$"
    ):
        one_of("engine", "bundle", ["bundled", "x"])
    with pytest.raises(ValueError, match=r"^engine: 'qqq' is unknown; Allowed: bundled, per_edge\.$"):
        one_of("engine", "qqq", ["bundled", "per_edge"])


@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_bounds(value):
    with pytest.raises(ValueError, match=rf"^epochs: must be at least 1, got {value}\.$"):
        at_least("epochs", value, 1)
    with pytest.raises(ValueError, match=rf"^scale: must be above 0, got {value}\.$"):
        above("scale", value, 0)
    with pytest.raises(ValueError, match=rf"^momentum: must lie in \[1, 2\], got {value}\.$"):
        within("momentum", value, (1, 2))


@pytest.mark.parametrize("value", ["3", None, True, [1]])
def test_what_is_no_number_is_refused_by_name(value):
    for check in (
        lambda: at_least("size", value, 1),
        lambda: above("size", value, 0),
        lambda: within("size", value, (0, 9)),
        lambda: share("size", value),
    ):
        with pytest.raises(ValueError, match=r"^size: must be a number, got "):
            check()


@pytest.mark.parametrize("value", ["3", 2.5, True])
def test_what_is_no_whole_number_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"^size: must be a whole number, got "):
        whole("size", value, 1)
    whole("size", 3, 1)
    with pytest.raises(ValueError, match=r"^size: must be at least 4, got 3"):
        whole("size", 3, 4)
