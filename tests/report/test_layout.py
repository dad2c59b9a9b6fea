"""The layout of a graph: everything lies inside, in reading order, and no two boxes meet."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.report.layout import Link, Size, arrange

BOX, LABEL = Size(0.6, 0.5), Size(1.2, 0.3)
GRAPHS = st.integers(2, 7).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.lists(
            st.tuples(st.integers(0, count - 2), st.integers(1, count - 1), st.booleans()).filter(
                lambda link: link[0] < link[1]
            ),
            min_size=1,
            max_size=12,
        ),
    )
)


def boxes(layout, links):
    placed = [(point, BOX) for point in layout.vertices]
    placed += [(point, link.label) for point, link in zip(layout.labels, links, strict=True) if link.label]
    return [(p.x - s.width / 2, p.y - s.height / 2, p.x + s.width / 2, p.y + s.height / 2) for p, s in placed]


@settings(max_examples=25, deadline=None)
@given(graph=GRAPHS)
def test_boxes_lie_inside_and_apart_and_edges_lead_to_the_right(graph):
    count, edges = graph
    links = [Link(i, j, LABEL if labelled else None) for i, j, labelled in edges]
    layout = arrange([BOX] * count, links)
    placed = boxes(layout, links)
    for left, low, right, high in placed:
        assert left >= -1e-9
        assert low >= -1e-9
        assert right <= layout.size.width + 1e-9
        assert high <= layout.size.height + 1e-9
    for number, first in enumerate(placed):
        for second in placed[number + 1 :]:
            gaps = second[0] - first[2], first[0] - second[2], second[1] - first[3], first[1] - second[3]
            assert max(gaps) >= -1e-9
    for link, curve in zip(links, layout.curves, strict=True):
        xs = [point.x for point in curve]
        assert all(later >= earlier - 1e-9 for earlier, later in pairwise(xs))
        assert layout.vertices[link.source].x < xs[0] < xs[-1] < layout.vertices[link.target].x


def test_a_label_lies_on_its_edge_before_its_target():
    layout = arrange([BOX] * 3, [Link(0, 1, LABEL), Link(1, 2, None)])
    assert layout.vertices[0].x < layout.labels[0].x < layout.vertices[1].x
    assert layout.labels[1] is None
    layout = arrange([BOX] * 2, [Link(0, 1, LABEL)])
    assert layout.vertices[0].x < layout.labels[0].x < layout.vertices[1].x


@pytest.mark.parametrize("link", [(1, 1), (2, 1), (0, 3), (-1, 1)])
def test_links_must_lead_from_lower_to_higher(link):
    with pytest.raises(ValueError, match="must lead from a lower to a higher of 3 vertices"):
        arrange([BOX] * 3, [Link(*link, None)])
