"""Every cell is read from what it is written as, in each of the published forms, and what is no cell is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgrad.genotype import DARTS_V2, Cell, Edge, Genotype
from archgrad.ops import NASBENCH201_CANDIDATES
from archgrad.spaces.nasbench201.strings import (
    EDGES,
    all_genotypes,
    arch_string,
    check_genotype,
    from_operations,
    naslib_indices,
    parse,
    structure,
)

SECOND = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
"""The architecture of index 1 in the benchmark's table."""

six_operations = st.tuples(*[st.sampled_from(NASBENCH201_CANDIDATES)] * 6)


@pytest.mark.slow
def test_all_cells_come_back_from_every_form():
    seen = set()
    for genotype in all_genotypes():
        text = arch_string(genotype)
        assert parse(text) == genotype
        assert parse(naslib_indices(genotype)) == genotype
        assert parse(structure(genotype)) == genotype
        seen.add(text)
    assert len(seen) == 5**6 == 15_625


@given(six_operations)
def test_texts_come_back_from_every_form(operations):
    genotype = from_operations(operations)
    assert parse(str(structure(genotype))) == genotype
    assert parse(repr([list(node) for node in structure(genotype)])) == genotype
    assert parse(str(list(naslib_indices(genotype)))) == genotype
    assert parse(f" {arch_string(genotype)}\n") == genotype
    assert parse(naslib_indices(genotype)) == parse(structure(genotype)) == genotype
    assert Genotype.from_json(genotype.to_json()) == genotype
    check_genotype(genotype)


def test_the_forms_of_one_cell_by_hand():
    genotype = parse(SECOND)
    assert arch_string(genotype) == SECOND
    assert structure(genotype) == (
        (("nor_conv_3x3", 0),),
        (("nor_conv_3x3", 0), ("avg_pool_3x3", 1)),
        (("skip_connect", 0), ("nor_conv_3x3", 1), ("skip_connect", 2)),
    )
    # Edges 0→1, 0→2, 0→3, 1→2, 1→3, 2→3 and NASLib's numbers: 3×3 is 2, skip is 0, pooling is 4.
    assert naslib_indices(genotype) == (2, 2, 0, 4, 2, 0)
    assert genotype["cell"].operations == tuple(name for node in structure(genotype) for name, _ in node)


def test_edges_are_by_target_then_source():
    assert EDGES == ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"architecture: '' cannot be read; needed is a string such as \|nor_conv_3x3~0\|"),
        ("nor_conv_3x3~0", r"architecture: 'nor_conv_3x3~0' cannot be read"),
        ("7", r"architecture: '7' cannot be read"),
        ("((", r"architecture: '\(\(' cannot be read"),
        (
            SECOND.replace("avg_pool_3x3", "avg_pol_3x3"),
            r"node 2, source 1: 'avg_pol_3x3' is unknown; did you mean 'av",
        ),
        (SECOND.replace("|+|skip", "|skip"), r"architecture: has 2 nodes, needed are 3"),
        (
            SECOND.replace("|+|skip", "||skip"),
            r"node 2, edge 2: must be operation~source, such as nor_conv_3x3~2, got ''",
        ),
        (SECOND.rpartition("+")[0], r"architecture: has 2 nodes, needed are 3"),
        (SECOND.replace("|avg_pool_3x3~1", ""), r"architecture: node 2 needs 2 edges, from 0 to 1, got \[\("),
        (
            SECOND.replace("avg_pool_3x3~1", "avg_pool_3x3~0"),
            r"node 2, edge 1: reads node 0, allowed is 1; edges are in",
        ),
        (SECOND.replace("avg_pool_3x3~1", "avg_pool_3x3"), r"node 2, edge 1: must be operation~source, such as nor_c"),
        (SECOND.replace("avg_pool_3x3~1", "avg_pool_3x3~x"), r"node 2, edge 1: must be operation~source"),
        (SECOND[:-1], r"architecture: node 3 must be \|operation~source\|…\|, got '\|skip_connect~0"),
        ((2, 2, 0, 4, 2), r"architecture: 5 operation indices, needed are 6, one for each edge"),
        ((2, 2, 0, 4, 5, 0), r"the index of edge 1 -> 3 is 5; allowed is 0 to 4, for skip_connect, none"),
        ((2, 2, 0, 4, -1, 0), r"the index of edge 1 -> 3 is -1"),
        ((("none", 0),), r"architecture: has 1 nodes, needed are 3"),
        (("ab", "cd", "ef"), r"architecture: node 1 needs 1 edges, from 0 to 0, got 'ab'"),
        (((("none",),), (), ()), r"architecture: node 1, edge 0: must be \(operation, source\), got \('none',\)"),
        ((), r"architecture: has 0 nodes, needed are 3"),
    ],
)
def test_what_is_no_cell(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("genotype", "message"),
    [
        (DARTS_V2, r"genotype: belongs to the space 'conv_cell', needed is one of 'nasbench201'"),
        (Genotype("nasbench201", ()), r"genotype: needs the one cell 'cell', got \[\]"),
        (
            Genotype("nasbench201", (Cell("cell", ((Edge("none", 0),),), (0,), 1),)),
            r"genotype: needs 1 input and the output 3, got 1 inputs and the outputs \(0,\)",
        ),
        (
            Genotype("nasbench201", (Cell("cell", ((Edge("none", 0),),) * 3, (3,), 1),)),
            r"genotype: node 2 needs 2 edges, from 0 to 1, got \(Edge",
        ),
    ],
)
def test_genotypes_of_other_spaces(genotype, message):
    for write in (arch_string, structure, naslib_indices):
        with pytest.raises(ValueError, match=message):
            write(genotype)
