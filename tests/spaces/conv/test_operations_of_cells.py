"""Weights of candidates by brute force: what changes when they do, and what another supernet takes over."""

import copy

import pytest
import torch
from torch import nn

from archgrad.arch import LogitGroup, OperationKey
from archgrad.mixing import Mixing
from archgrad.spaces import ConvCellSpace
from archgrad.spaces.conv.interior import interior
from archgrad.spaces.conv.operations import adopt, operations_of

CANDIDATES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
TINY = {"channels": 4, "layers": 3, "num_classes": 3, "in_channels": 1, "nodes": 2, "candidates": CANDIDATES}
CHOICES = {
    "normal": {(0, 2): ("none", "sep_conv_3x3"), (1, 3): ("skip_connect", "dil_conv_3x3")},
    "reduce": {(0, 3): ("skip_connect",), (2, 3): ("sep_conv_3x3", "dil_conv_3x3")},
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def mixture_of(space, only=CANDIDATES):
    """Random weights of those candidates that an edge has, among `only`."""
    mixture = {}
    for group in space.groups:
        allowed = torch.from_numpy(group.mask) & torch.tensor([name in only for name in group.candidates])
        mixture[group.name] = torch.rand(group.shape, dtype=torch.float64).add(0.1) * allowed
    return mixture


def by_cell(mixture, supernet):
    """The same weights for each cell of a group, as a tensor of its own: [cells, edges, candidates]."""
    return {name: weights.repeat(supernet.cell_groups.count(name), 1, 1) for name, weights in mixture.items()}


def narrow(slices, supernet):
    """The weights in the slices, as views."""
    return [supernet.get_parameter(name).detach()[start:stop] for name, start, stop in slices]


@pytest.mark.parametrize("mixing", [Mixing(), Mixing(partial_channels=2, auxiliary_skip=0.5)])
def test_weights_of_a_candidate_act_through_it_alone(mixing):
    """Perturbed weights of candidates whose own mixture weights are 0 change nothing, whatever the others' are.

    In turn, one half of all candidates of all edges of all cells has weight 0: by each binary digit of their number, so
    that any two are told apart.
    """
    space = ConvCellSpace(**{**TINY, "channels": 8}, choices=CHOICES).mixed(mixing)
    supernet, images = space.supernet().double(), torch.randn(2, 1, 8, 8, dtype=torch.float64)
    operations = list(supernet.operations().items())
    for digit in range(len(operations).bit_length()):
        for value in (0, 1):
            mixture = by_cell(mixture_of(space), supernet)
            without = [item for number, item in enumerate(operations) if number >> digit & 1 == value]
            for (cell, row, candidate), _ in without:
                kind, place = supernet.cell_groups[cell], supernet.cell_groups[:cell].count(supernet.cell_groups[cell])
                mixture[kind][place, row, CANDIDATES.index(candidate)] = 0.0
            with torch.no_grad():
                expected = supernet(images, mixture)
                for weights in (weights for _, slices in without for weights in narrow(slices, supernet)):
                    weights.add_(torch.randn_like(weights))
                assert torch.equal(supernet(images, mixture), expected)


def test_weights_of_every_candidate_act():
    space = ConvCellSpace(**TINY, choices=CHOICES)
    supernet, mixture = space.supernet().double(), mixture_of(space)
    supernet(torch.randn(2, 1, 8, 8, dtype=torch.float64), mixture).square().sum().backward()
    for key, slices in supernet.operations().items():
        for name, start, stop in slices:
            assert (supernet.get_parameter(name).grad[start:stop].flatten(1).norm(dim=1) > 0).all(), key


@pytest.mark.parametrize("choices", [{}, CHOICES])
def test_slices_cover_all_weights_of_the_interiors_once(choices):
    space = ConvCellSpace(**TINY, choices=choices)
    supernet = space.supernet()
    covered = {name: torch.zeros(len(weights)) for name, weights in supernet.named_parameters() if "interior" in name}
    for slices in operations_of(supernet).values():
        for name, start, stop in slices:
            covered[name][start:stop] += 1
    assert covered
    assert all((counts == 1).all() for counts in covered.values())


def test_every_candidate_with_weights_is_listed():
    space = ConvCellSpace(**TINY, choices=CHOICES)
    expected = set()
    supernet = space.supernet()
    for cell, kind in enumerate(supernet.cell_groups):
        (group,) = (group for group in space.groups if group.name == kind)
        for row, ((source, _), choices) in enumerate(zip(group.edges, group.choices, strict=True)):
            halves = kind == "reduce" and source < 2
            weighted = {"sep_conv_3x3", "dil_conv_3x3", *(("skip_connect",) if halves else ())}
            expected |= {OperationKey(cell, row, name) for name in weighted & set(choices)}
    assert set(operations_of(supernet)) == expected


def test_the_other_engine_lists_none():
    with pytest.raises(ValueError, match=r"engine: only the supernet of the engine 'bundled' lists its operations"):
        operations_of(ConvCellSpace(**TINY).supernet(engine="per_edge"))


@pytest.mark.parametrize("candidates", [CANDIDATES, ("dil_conv_3x3", "skip_connect", "none", "sep_conv_3x3")])
def test_with_fewer_candidates_the_function_stays(candidates):
    space = ConvCellSpace(**TINY)
    choices = {
        kind: {edge: tuple(name for name in names if name in candidates) for edge, names in edges.items()}
        for kind, edges in CHOICES.items()
    }
    narrowed = ConvCellSpace(**{**TINY, "candidates": candidates}, choices=choices)
    old, new = space.supernet().double(), narrowed.supernet().double()
    images = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    mixture = mixture_of(narrowed)
    wide = {group.name: torch.zeros(group.shape, dtype=torch.float64) for group in space.groups}
    for group in narrowed.groups:
        for column, name in enumerate(group.candidates):
            wide[group.name][:, CANDIDATES.index(name)] = mixture[group.name][:, column]
    expected = old(images, wide)
    assert not torch.allclose(new(images, mixture), expected)
    adopt(new, old)
    torch.testing.assert_close(new(images, mixture), expected)


def test_more_candidates_keep_their_initialisation():
    few, many = ConvCellSpace(**TINY, choices=CHOICES).supernet(), ConvCellSpace(**TINY).supernet()
    before = copy.deepcopy(many)
    adopt(many, few)
    known = operations_of(few)
    for key, slices in operations_of(many).items():
        reference = narrow(known[key], few) if key in known else narrow(slices, before)
        assert all(map(torch.equal, narrow(slices, many), reference)), key


def test_deeper_supernets_take_over_cells_by_their_place_between_reductions():
    """N N R N R N (6 cells) in N N N R N N R N N (9 cells); the last cell of each stretch is new."""
    shallow = ConvCellSpace(**{**TINY, "layers": 6}).supernet()
    deep = ConvCellSpace(**{**TINY, "layers": 9}).supernet()
    before = copy.deepcopy(deep)
    adopt(deep, shallow)
    taken = {0: 0, 1: 1, 3: 2, 4: 3, 6: 4, 7: 5}
    for index, cell in enumerate(deep.cells):
        reference = shallow.cells[taken[index]] if index in taken else before.cells[index]
        for (name, weights), (_, expected) in zip(cell.named_parameters(), reference.named_parameters(), strict=True):
            assert torch.equal(weights, expected), (index, name)
    for part in ("stem", "classifier"):
        for weights, expected in zip(
            getattr(deep, part).parameters(), getattr(shallow, part).parameters(), strict=True
        ):
            assert torch.equal(weights, expected)


def test_inputs_of_another_shape_keep_their_initialisation():
    """The second reduction follows the first of three cells, and a normal one of five: what it reads differs."""
    three, five = (ConvCellSpace(**{**TINY, "layers": layers}).supernet() for layers in (3, 5))
    before = copy.deepcopy(five)
    adopt(five, three)
    ours, kept, theirs = five.cells[3], before.cells[3], three.cells[2]
    assert torch.equal(ours.adapt.operations[0].body.weight, kept.adapt.operations[0].body.weight)
    assert torch.equal(ours.adapt.operations[1].body.weight, theirs.adapt.operations[1].body.weight)
    assert all(map(torch.equal, ours.interior.parameters(), theirs.interior.parameters()))


@pytest.mark.parametrize(("narrow_first", "channels"), [(True, (4, 8)), (False, (8, 4))])
def test_operations_of_another_width_take_the_leading_block(narrow_first, channels):
    old, new = (ConvCellSpace(**{**TINY, "channels": width}).supernet() for width in channels)
    before = copy.deepcopy(new)
    adopt(new, old)
    listed, reference = operations_of(new), operations_of(old)
    for key, slices in listed.items():
        for weights, source, fresh in zip(
            narrow(slices, new), narrow(reference[key], old), narrow(slices, before), strict=True
        ):
            block = tuple(slice(min(sizes)) for sizes in zip(weights.shape, source.shape, strict=True))
            assert torch.equal(weights[block], source[block])
            outside = torch.ones_like(weights, dtype=torch.bool)
            outside[block] = False
            assert outside.any() == narrow_first
            assert torch.equal(weights[outside], fresh[outside])
    assert torch.equal(new.cells[1].adapt.operations[1].body.weight, before.cells[1].adapt.operations[1].body.weight)


@pytest.mark.parametrize(("first", "then"), [(4, 2), (2, 4), (4, 1)])
def test_fewer_channels_go_past_the_mixture(first, then):
    """Operations that grow from C/4 to C/2 channels keep what they had; all that is not as wide as they stays equal."""
    space = ConvCellSpace(**{**TINY, "channels": 16})
    old, new = (space.mixed(Mixing(partial_channels=partial)).supernet() for partial in (first, then))
    new.adopt(old)
    (name, start, stop) = new.operations()[OperationKey(1, 2, "sep_conv_3x3")][1]
    (_, begin, end) = old.operations()[OperationKey(1, 2, "sep_conv_3x3")][1]
    width = min(stop - start, end - begin)
    assert (stop - start, end - begin) == (32 // then, 32 // first)
    ours, theirs = (supernet.get_parameter(name) for supernet in (new, old))
    assert torch.equal(ours[start : start + width, :width], theirs[begin : begin + width, :width])
    theirs = dict(old.named_parameters())
    around = [name for name in theirs if ".operations." not in name or ".adapt." in name]
    assert len(around) > 8
    assert all(torch.equal(new.get_parameter(name), theirs[name]) for name in around)


def test_auxiliary_skips_belong_to_no_candidate_and_are_taken_over():
    space = ConvCellSpace(**TINY, mixing=Mixing(auxiliary_skip=1.0))
    old, new = space.supernet(), space.narrowed({}, layers=6).supernet()
    skips = [name for name, _ in new.named_parameters() if ".auxiliary." in name]
    assert skips
    assert not {slice.parameter for slices in new.operations().values() for slice in slices} & set(skips)
    new.adopt(old)
    ours, theirs = new.cells[2].interior.auxiliary, old.cells[1].interior.auxiliary  # both the first reduction
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


def test_listed_without_memory_of_weights_too():
    """Costs are counted on supernets without data."""
    space = ConvCellSpace(**TINY, choices=CHOICES)
    with torch.device("meta"):
        abstract = operations_of(space.supernet())
    assert abstract == operations_of(space.supernet())


def test_weights_are_copies():
    space = ConvCellSpace(**TINY)
    old, new = space.supernet(), space.supernet()
    adopt(new, old)
    expected = copy.deepcopy(old.state_dict())
    with torch.no_grad():
        for weights in old.parameters():
            weights.zero_()
    for name, weights in new.state_dict().items():
        assert torch.equal(weights, expected[name])
    assert all(weights.requires_grad for weights in new.parameters())


def test_supernets_without_anything_in_common_are_refused():
    ours = ConvCellSpace(**{**TINY, "candidates": ("skip_connect",)}).supernet()
    other = nn.Module()
    other.cells, other.cell_groups = copy.deepcopy(ours.cells), ("cell",) * 3
    with pytest.raises(ValueError, match=r"other: has no weights in common with this supernet"):
        adopt(ours, other)


class Stages(nn.Module):
    """Cells that are nothing but their interior, `per_stage` of each width, with a block between the widths."""

    def __init__(self, per_stage):
        super().__init__()
        group = LogitGroup.dense("cell", inputs=1, nodes=3, candidates=("none", "nor_conv_1x1", "avg_pool_3x3"))
        narrow_cells, wide_cells = (
            [interior(group, channels, (1, 1, 1), inputs=1) for _ in range(per_stage)] for channels in (4, 8)
        )
        self.cells = nn.ModuleList([*narrow_cells, nn.Conv2d(4, 8, 1), *wide_cells])
        self.cell_groups = ("cell",) * (2 * per_stage)


def test_blocks_between_cells_are_no_cells_and_find_each_other():
    old, new = Stages(1), Stages(2)
    before = copy.deepcopy(new)
    assert {key.cell for key in operations_of(new)} == {0, 1, 2, 3}
    assert {key.row for key in operations_of(new)} == {0, 1, 2, 3, 4, 5}
    (first, *_) = operations_of(new)[OperationKey(2, 5, "nor_conv_1x1")]
    assert first == ("cells.3.bundles.2.operations.nor_conv_1x1.body.weight", 0, 8)
    adopt(new, old)
    origins = [old.cells[0], before.cells[1], old.cells[1], old.cells[2], before.cells[4]]
    for module, origin in zip(new.cells, origins, strict=True):
        assert all(map(torch.equal, module.parameters(), origin.parameters()))
