"""Genotypes: JSON both ways, what is refused, and the published literals."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.genotype import (
    AMOEBANET,
    CONV_CELL,
    DARTS_V1,
    DARTS_V1_RECURRENT,
    DARTS_V2,
    DARTS_V2_RECURRENT,
    ENAS_RECURRENT,
    NASNET,
    PUBLISHED,
    RECURRENT_CELL,
    TRELLIS,
    VERSION,
    Cell,
    Edge,
    Genotype,
    published,
)

SHORT = {"sep3": "sep_conv_3x3", "dil3": "dil_conv_3x3", "skip": "skip_connect"}
SHORT |= {"max": "max_pool_3x3", "avg": "avg_pool_3x3"}


@st.composite
def cell_parts(draw):
    """The arguments of a valid cell; the cell itself is built in the test."""
    inputs = draw(st.integers(1, 3))
    count = draw(st.integers(1, 4))
    nodes = [
        draw(st.lists(st.tuples(st.text(max_size=6), st.integers(0, state - 1)), min_size=1, max_size=3))
        for state in range(inputs, inputs + count)
    ]
    outputs = draw(st.lists(st.integers(0, inputs + count - 1), min_size=1, max_size=4))
    return inputs, nodes, outputs


def build(parts, name="cell"):
    inputs, nodes, outputs = parts
    return Cell(name, tuple(tuple(Edge(*edge) for edge in node) for node in nodes), tuple(outputs), inputs)


@settings(max_examples=20, deadline=None)
@given(first=cell_parts(), second=cell_parts(), space=st.text(max_size=6))
def test_json_round_trip(first, second, space):
    genotype = Genotype(space, (build(first, "one"), build(second, "two")))
    again = Genotype.from_json(genotype.to_json())
    assert again == genotype
    assert hash(again) == hash(genotype)
    assert isinstance(again.cells[0].nodes[0][0], Edge)


def test_hashable_and_told_apart():
    assert len({DARTS_V1, DARTS_V2, NASNET, AMOEBANET, Genotype.from_json(DARTS_V1.to_json())}) == 4


def test_cells_by_name():
    assert DARTS_V1["reduce"].name == "reduce"
    with pytest.raises(KeyError, match="genotype of 'conv_cell' has no cell 'cell'"):
        DARTS_V1["cell"]


def test_text():
    assert str(DARTS_V1).splitlines()[:2] == ["normal:", "  2 = sep_conv_3x3(1) + sep_conv_3x3(0)"]


def test_operations_in_order():
    assert DARTS_V2["normal"].operations[-2:] == ("skip_connect", "dil_conv_3x3")


def document(**changes):
    return {**json.loads(DARTS_V2.to_json()), **changes}


def broken(path, value):
    """The document of DARTS_V2 with one entry of its normal cell replaced."""
    changed = document()
    entry = changed["cells"]["normal"]
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"genotype: not JSON"),
        ('{"format": ', r"genotype: not JSON"),
        ("[]", r"its 'format' is not 'archgrad.genotype'"),
        ("{}", r"its 'format' is not 'archgrad.genotype'"),
        (json.dumps(document(format="onnx")), r"its 'format' is not 'archgrad.genotype'"),
        (
            json.dumps(document(version=VERSION + 1)),
            r"version 2 is newer than this archgrad reads \(up to 1\); upgrade",
        ),
        (json.dumps(document(version="1")), r"version '1' is not a positive integer"),
        (json.dumps(document(version=0)), r"version 0 is not a positive integer"),
        (json.dumps(document(version=None)), r"version None is not a positive integer"),
        (json.dumps(document(space=3)), r"malformed entry.*space is 3"),
        (json.dumps(document(cells=None)), r"malformed entry"),
        (json.dumps(document(cells=[])), r"malformed entry"),
        (json.dumps(document(cells={"normal": None})), r"malformed entry"),
        (json.dumps(document(cells={"normal": {}})), r"malformed entry.*nodes"),
        (json.dumps({"format": "archgrad.genotype", "version": 1}), r"malformed entry.*space"),
        (json.dumps(broken(["nodes", 0, 0], ["skip_connect"])), r"malformed entry"),
        (json.dumps(broken(["nodes", 0, 0], ["skip_connect", 0, 1])), r"malformed entry"),
        (json.dumps(broken(["nodes", 0, 0], [1, 0])), r"malformed entry.*operation 1"),
        (json.dumps(broken(["nodes", 0, 0, 1], "0")), r"malformed entry.*state '0'"),
        (json.dumps(broken(["nodes", 0, 0, 1], 0.5)), r"malformed entry.*state 0.5"),
        (json.dumps(broken(["nodes", 0, 0, 1], True)), r"malformed entry.*state True"),
        (json.dumps(broken(["inputs"], None)), r"malformed entry.*state None"),
        (json.dumps(broken(["outputs"], 3)), r"malformed entry"),
        (json.dumps(broken(["nodes", 0, 0, 1], 2)), r"cell 'normal': state 2 reads state 2; allowed is 0 to 1"),
        (json.dumps(broken(["nodes", 0, 0, 1], -1)), r"cell 'normal': state 2 reads state -1; allowed is 0 to 1"),
        (json.dumps(broken(["outputs"], [6])), r"cell 'normal': output 6 is no state; allowed is 0 to 5"),
        (json.dumps(broken(["outputs"], [])), r"cell 'normal': nodes and outputs must not be empty"),
        (json.dumps(broken(["nodes"], [])), r"cell 'normal': nodes and outputs must not be empty"),
        (json.dumps(broken(["nodes", 1], [])), r"cell 'normal': state 3 has no incoming edge"),
    ],
)
def test_what_is_no_genotype_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Genotype.from_json(text)


def compact(text):
    """(sep3,1)(skip,0)|… as the papers' tables have it."""
    nodes = [node.strip("()").split(")(") for node in text.split("|")]
    pairs = [[edge.split(",") for edge in node] for node in nodes]
    return tuple(tuple((SHORT[name], int(source)) for name, source in node) for node in pairs)


@pytest.mark.parametrize(
    ("genotype", "normal", "reduce"),
    [
        (
            DARTS_V1,
            "(sep3,1)(sep3,0)|(skip,0)(sep3,1)|(skip,0)(sep3,1)|(sep3,0)(skip,2)",
            "(max,0)(max,1)|(skip,2)(max,0)|(max,0)(skip,2)|(skip,2)(avg,0)",
        ),
        (
            DARTS_V2,
            "(sep3,0)(sep3,1)|(sep3,0)(sep3,1)|(sep3,1)(skip,0)|(skip,0)(dil3,2)",
            "(max,0)(max,1)|(skip,2)(max,1)|(max,0)(skip,2)|(skip,2)(max,1)",
        ),
    ],
)
def test_published_cells(genotype, normal, reduce):
    assert genotype.space == "conv_cell"
    for name, expected in (("normal", normal), ("reduce", reduce)):
        assert genotype[name].nodes == compact(expected)
        assert genotype[name].outputs == (2, 3, 4, 5)
        assert genotype[name].inputs == 2


@pytest.mark.parametrize(
    ("genotype", "activations", "predecessors", "outputs"),
    [
        (
            ENAS_RECURRENT,
            "tanh tanh relu tanh tanh relu relu relu relu relu relu",
            (0, 1, 1, 3, 3, 3, 4, 7, 8, 8, 8),
            (2, 5, 6, 9, 10, 11),
        ),
        (
            DARTS_V1_RECURRENT,
            "relu relu tanh relu relu identity relu relu",
            (0, 1, 2, 3, 4, 1, 5, 1),
            (1, 2, 3, 4, 5, 6, 7, 8),
        ),
        (
            DARTS_V2_RECURRENT,
            "sigmoid relu relu identity tanh sigmoid tanh relu",
            (0, 1, 1, 1, 2, 5, 3, 5),
            (1, 2, 3, 4, 5, 6, 7, 8),
        ),
    ],
)
def test_published_recurrent_cells(genotype, activations, predecessors, outputs):
    assert genotype.space == "recurrent_cell"
    (cell,) = genotype.cells
    assert cell.name == "recurrent"
    assert cell.inputs == 1
    assert cell.operations == tuple(activations.split())
    assert tuple(edge.source for (edge,) in cell.nodes) == predecessors
    assert cell.outputs == outputs
    assert Genotype.from_json(genotype.to_json()) == genotype


def test_published_by_name():
    assert set(published(CONV_CELL)) == {"NASNET", "AMOEBANET", "DARTS_V1", "DARTS_V2"}
    assert set(published(RECURRENT_CELL)) == {"ENAS_RECURRENT", "DARTS_V1_RECURRENT", "DARTS_V2_RECURRENT"}
    assert set(published(TRELLIS)) == {"AUTO_DEEPLAB"}
    assert published(CONV_CELL) | published(RECURRENT_CELL) | published(TRELLIS) == PUBLISHED
    assert len(set(PUBLISHED.values())) == 8
    assert PUBLISHED["DARTS_V2"] is DARTS_V2
    assert "sep_conv_7x7" in NASNET["reduce"].operations
    assert "conv_7x1_1x7" in AMOEBANET["reduce"].operations


def test_published_names_the_spaces_that_it_knows():
    with pytest.raises(ValueError, match=r"space: 'conv_cel' is unknown.*Allowed: conv_cell, recurrent_cell, trellis"):
        published("conv_cel")


def test_a_path_is_kept_and_checked():
    genotype = PUBLISHED["AUTO_DEEPLAB"]
    assert genotype.path == (0, 0, 0, 1, 2, 1, 2, 2, 3, 3, 2, 1)
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert str(genotype).endswith("path: 0 0 0 1 2 1 2 2 3 3 2 1")
    assert '"path"' not in DARTS_V2.to_json()
    with pytest.raises(ValueError, match="path: layer 2 lies at level -1; allowed is 0 and above"):
        Genotype(TRELLIS, genotype.cells, (0, -1))
    broken = genotype.to_json().replace('"path": [\n  0', '"path": [\n  "a"')
    with pytest.raises(ValueError, match=r"genotype: path must be a list of whole numbers, .*, got \['a', 0"):
        Genotype.from_json(broken)
