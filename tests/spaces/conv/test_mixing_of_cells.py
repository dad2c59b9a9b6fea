"""Variants of the mixed operation in whole cells: both engines, closed forms, and what is not evaluated."""

import math

import pytest
import torch
import torch.nn.functional as F

from archgrad.arch import LogitGroup
from archgrad.mixing import Mixing
from archgrad.spaces import ConvCellSpace
from archgrad.spaces.conv import bundle as bundle_module
from archgrad.spaces.conv import engine as engine_module
from archgrad.spaces.conv.interior import interior
from archgrad.spaces.conv.mixed import shuffle
from archgrad.spaces.space import Progressing

CANDIDATES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
TINY = {"channels": 4, "layers": 3, "num_classes": 3, "in_channels": 1, "nodes": 2, "candidates": CANDIDATES}
SKIPS = LogitGroup.dense("cell", inputs=2, nodes=2, candidates=("none", "skip_connect"))
ENGINES = ("bundled", "per_edge")


def one_hot(space, seed=0):
    """Straight-through one-hot mixtures, and the logits that they pass gradients to."""
    generator = torch.Generator().manual_seed(seed)
    logits, mixture = {}, {}
    for group in space.groups:
        mask = torch.from_numpy(group.mask)
        logits[group.name] = torch.rand(group.shape, dtype=torch.float64, generator=generator).requires_grad_()
        if group.role == "edges":
            mixture[group.name] = torch.where(mask, logits[group.name], 0.0)
            continue
        best = torch.where(mask, logits[group.name].detach(), -1.0).argmax(dim=1)
        hard = F.one_hot(best, group.shape[1]).double()
        mixture[group.name] = hard + (logits[group.name] - logits[group.name].detach())
    return logits, mixture


def uniform_mixture(space):
    return {
        group.name: torch.from_numpy(group.mask / group.mask.sum(axis=1, keepdims=True)).float()
        for group in space.groups
    }


@pytest.mark.parametrize("size", [(8, 8), (9, 11)])
@pytest.mark.parametrize(
    "mixing",
    [
        Mixing(partial_channels=2),
        Mixing(partial_channels=4),
        Mixing(edge_normalisation=True),
        Mixing(partial_channels=2, edge_normalisation=True),
        Mixing(auxiliary_skip=0.7),
        Mixing(partial_channels=2, edge_normalisation=True, auxiliary_skip=0.7),
    ],
)
def test_engines_agree(assert_engines_agree, mixing, size):
    channels = 2 * mixing.partial_channels  # a 1×1 convolution of one channel has no gradient behind its normalisation
    assert_engines_agree(ConvCellSpace(**{**TINY, "channels": channels}, mixing=mixing), size, progress=0.25)


@pytest.mark.parametrize("mixing", [{}, {"partial_channels": 2, "auxiliary_skip": 0.5}])
def test_engines_agree_with_dropout_on_skips(assert_engines_agree, mixing, monkeypatch):
    """The two draw in another order, so that here the mask is a fixed one."""

    def fixed(x, rate):
        assert rate == pytest.approx(0.3 * math.exp(-1))
        return x * (torch.arange(x.numel()).view_as(x) % 3 > 0) / (1 - rate)

    monkeypatch.setattr(bundle_module, "drop", fixed)
    monkeypatch.setattr(engine_module, "drop", fixed)
    assert_engines_agree(ConvCellSpace(**TINY, mixing=Mixing(skip_dropout=0.3, **mixing)), progress=0.2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "mixing", [{}, {"partial_channels": 2, "edge_normalisation": True}, {"auxiliary_skip": 1.0, "partial_channels": 2}]
)
def test_engines_agree_on_one_path(assert_engines_agree, mixing, seed):
    space = ConvCellSpace(**TINY, mixing=Mixing(one_path=True, **mixing))
    assert_engines_agree(space, mixtures=lambda space: one_hot(space, seed))


def test_engines_agree_where_edges_have_different_candidates(assert_engines_agree):
    edges = LogitGroup.dense("normal", inputs=2, nodes=2, candidates=CANDIDATES).edges
    pairs = dict(zip(edges, zip(CANDIDATES, (*CANDIDATES[1:], "none"), strict=True), strict=True))
    for mixing in (Mixing(partial_channels=2, edge_normalisation=True), Mixing(one_path=True)):
        space = ConvCellSpace(**TINY, choices={"normal": pairs, "reduce": pairs}, mixing=mixing)
        assert_engines_agree(space, **({"mixtures": one_hot} if mixing.one_path else {}))


# One path


@pytest.mark.parametrize("seed", range(3))
def test_one_path_is_the_full_engine_on_the_same_hard_mixture(twins, assert_near, seed):
    """Equal values, gradients of the weights, and of the chosen entries of the mixture; zero for the others."""
    full_space = ConvCellSpace(**TINY)
    full, _ = twins(full_space)
    single = full_space.mixed(Mixing(one_path=True)).supernet().double()
    single.load_state_dict(full.state_dict())
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    found = {}
    for supernet in (full, single):
        logits, mixture = one_hot(full_space, seed)
        scores = supernet(images, mixture)
        scores.square().sum().backward()
        gradients = {
            name: torch.zeros_like(weight) if weight.grad is None else weight.grad
            for name, weight in supernet.named_parameters()
        }
        chosen = {name: weights.detach() != 0 for name, weights in mixture.items()}
        found[supernet] = scores.detach(), gradients, {name: tensor.grad for name, tensor in logits.items()}
    assert_near(found[single][0], found[full][0])
    for name, gradient in found[full][1].items():
        assert_near(found[single][1][name], gradient)
    for name, gradient in found[full][2].items():
        assert_near(found[single][2][name], torch.where(chosen[name], gradient, 0.0))
        assert gradient[~chosen[name]].abs().max() > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_one_path_evaluates_what_has_a_weight_and_nothing_else(engine):
    space = ConvCellSpace(**TINY, mixing=Mixing(one_path=True))
    supernet = space.supernet(engine=engine)
    mixture = {group.name: torch.zeros(group.shape) for group in space.groups}
    for weights in mixture.values():
        weights[:, CANDIDATES.index("sep_conv_3x3")] = 1.0
        weights[1] = F.one_hot(torch.tensor(0), len(CANDIDATES))  # edge (1, 2) has `none`
    supernet(torch.randn(2, 1, 8, 8), mixture).sum().backward()
    used = {name for name, weight in supernet.named_parameters() if weight.grad is not None}
    interiors = {name for name in used if ".interior." in name}
    assert interiors
    assert all("sep_conv_3x3" in name for name in interiors)
    if engine == "per_edge":
        assert not any(".edges.1." in name for name in interiors)


@pytest.mark.parametrize("engine", ENGINES)
def test_one_path_of_nothing_but_none_is_zero(engine):
    cell = interior(SKIPS, 4, (2, 2, 1), inputs=2, engine=engine, mixing=Mixing(one_path=True))
    nodes = cell([torch.randn(2, 4, 5, 7)] * 2, torch.tensor([[1.0, 0.0]] * 5))
    assert [tuple(node.shape) for node in nodes] == [(2, 4, 3, 4)] * 2
    assert not any(node.any() for node in nodes)


def test_one_path_keeps_a_mixture_that_is_not_hard_exact(twins, assert_near):
    space = ConvCellSpace(**TINY)
    full, _ = twins(space)
    single = space.mixed(Mixing(one_path=True)).supernet().double()
    single.load_state_dict(full.state_dict())
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    mixture = {name: weights.double() for name, weights in uniform_mixture(space).items()}
    assert_near(single(images, mixture), full(images, mixture))


# Partial channels and edge normalisation


@pytest.mark.parametrize("engine", ENGINES)
def test_partial_channels_of_a_cell_of_skips(engine):
    """x_j = Σ_i β_ij shuffle([p_ij x_i,S, x_i,R])."""
    mixing = Mixing(partial_channels=3, edge_normalisation=True)
    cell = interior(SKIPS, 6, (1, 1, 1), inputs=2, engine=engine, mixing=mixing)
    x_0, x_1 = torch.randn(2, 2, 6, 4, 4)
    p, beta = torch.rand(5), torch.rand(5)
    x_2, x_3 = cell([x_0, x_1], torch.stack([1 - p, p], dim=1), beta)

    def edge(row, x):
        return beta[row] * shuffle(torch.cat([p[row] * x[:, :2], x[:, 2:]], dim=1), 3)

    expected = edge(0, x_0) + edge(1, x_1)
    torch.testing.assert_close(x_2, expected)
    torch.testing.assert_close(x_3, edge(2, x_0) + edge(3, x_1) + edge(4, expected))


def test_partial_channels_shrink_the_operations():
    counts = {}
    for partial in (1, 2, 4):
        space = ConvCellSpace(channels=8, layers=3, mixing=Mixing(partial_channels=partial))
        with torch.device("meta"):
            supernet = space.supernet()
        parameters = {name: weight.numel() for name, weight in supernet.named_parameters()}
        counts[partial] = sum(size for name, size in parameters.items() if ".interior." in name)
        around = sum(parameters.values()) - counts[partial]
        assert around == counts.setdefault("around", around)
    assert counts[1] > 2 * counts[2] > 4 * counts[4]  # depthwise weights shrink by K, pointwise by K²


def test_edge_weights_move_the_scores_node_by_node():
    space = ConvCellSpace(**TINY, mixing=Mixing(edge_normalisation=True))
    supernet = space.supernet()
    images, mixture = torch.randn(4, 1, 8, 8), uniform_mixture(space)
    base = supernet(images, mixture)
    for kind in ("normal_edges", "reduce_edges"):
        for row in range(2):
            weights = mixture[kind].clone()
            weights[row, :2] = torch.tensor([0.9, 0.1])
            assert not torch.allclose(supernet(images, {**mixture, kind: weights}), base)
    masked = {name: weights.clone() for name, weights in mixture.items()}
    masked["normal_edges"][0, 2] = 5.0  # node 2 does not read itself
    assert torch.equal(supernet(images, masked), base)


# Auxiliary skips, dropout on skips, progress


@pytest.mark.parametrize("engine", ENGINES)
def test_auxiliary_skips_lie_outside_the_mixture(engine):
    """With p = 0: x_2 = b (x_0 + x_1), x_3 = b (x_0 + x_1 + x_2), whatever β."""
    mixing = Mixing(auxiliary_skip=0.8, partial_channels=2, edge_normalisation=True)
    cell = interior(SKIPS, 4, (1, 1, 1), inputs=2, engine=engine, mixing=mixing)
    x_0, x_1 = torch.randn(2, 2, 4, 5, 5)
    for progress, b in ((0.0, 0.8), (0.75, 0.2), (1.0, 0.0)):
        cell.progress = progress
        x_2, x_3 = cell([x_0, x_1], torch.zeros(5, 2), torch.zeros(5))
        torch.testing.assert_close(x_2, b * (x_0 + x_1))
        torch.testing.assert_close(x_3, b * (x_0 + x_1 + x_2))


@pytest.mark.parametrize("engine", ENGINES)
def test_auxiliary_skips_at_stride_two_are_normalised_reductions(engine):
    cell = interior(SKIPS, 4, (2, 2, 1), inputs=2, engine=engine, mixing=Mixing(auxiliary_skip=0.5))
    x_2, x_3 = cell([torch.randn(8, 4, 16, 16), torch.zeros(8, 4, 16, 16)], torch.zeros(5, 2))
    assert x_2.shape == (8, 4, 8, 8)
    torch.testing.assert_close(x_2.var(dim=(0, 2, 3)), torch.full((4,), 0.25), rtol=1e-2, atol=0)
    assert not torch.allclose(x_3 - 0.5 * x_2, x_2)  # each edge has weights of its own


@pytest.mark.parametrize("engine", ENGINES)
def test_dropout_on_skips_has_a_mask_for_each_edge(engine):
    cell = interior(SKIPS, 4, (1, 1, 1), inputs=2, engine=engine, mixing=Mixing(skip_dropout=0.5))
    inputs = [torch.ones(4, 4, 16, 16), torch.zeros(4, 4, 16, 16)]
    weights = torch.tensor([[0.0, 1.0]] * 4 + [[0.0, 0.0]])  # x_2 and x_3 are both x_0 behind dropout
    x_2, x_3 = cell(inputs, weights)
    for x in (x_2, x_3):
        assert set(x.unique().tolist()) == {0.0, 2.0}
        assert abs(float(x.mean()) - 1) < 0.1
    assert not torch.equal(x_2, x_3)
    assert torch.equal(cell.eval()(inputs, weights)[0], inputs[0])


def test_dropout_on_skips_spares_reductions():
    cell = interior(SKIPS, 4, (2, 2, 1), inputs=2, mixing=Mixing(skip_dropout=0.5))
    inputs, weights = [torch.randn(4, 4, 8, 8)] * 2, torch.tensor([[0.0, 1.0]] * 4 + [[0.0, 0.0]])
    assert torch.equal(cell(inputs, weights)[0], cell(inputs, weights)[0])


@pytest.mark.parametrize("mixing", [Mixing(auxiliary_skip=1.0), Mixing(skip_dropout=0.5)])
def test_progress_reaches_all_cells(mixing):
    space = ConvCellSpace(**TINY, mixing=mixing)
    supernet = space.supernet()
    assert isinstance(supernet, Progressing)
    assert supernet.progress == 0.0
    images, mixture = torch.randn(4, 1, 8, 8), uniform_mixture(space)
    scores = []
    for progress in (0.0, 0.5):
        supernet.progress = progress
        torch.manual_seed(0)
        scores.append(supernet(images, mixture))
    assert not torch.allclose(*scores)
    assert {cell.interior.progress for cell in supernet.cells} == {supernet.progress} == {0.5}


@pytest.mark.parametrize(
    "changed",
    [
        Mixing(partial_channels=2),
        Mixing(edge_normalisation=True),
        Mixing(auxiliary_skip=0.5),
        Mixing(skip_dropout=0.5),
    ],
)
def test_every_field_of_the_mixing_changes_the_scores(changed):
    images, scores = torch.randn(4, 1, 8, 8), []
    for mixing in (Mixing(), changed):
        space = ConvCellSpace(**TINY, mixing=mixing)
        torch.manual_seed(0)
        scores.append(space.supernet()(images, uniform_mixture(space)))
    assert not torch.allclose(*scores)


# Weights of each cell for itself


@pytest.mark.parametrize(
    "mixing", [Mixing(), Mixing(partial_channels=2, edge_normalisation=True), Mixing(one_path=True)]
)
def test_cells_can_have_weights_of_their_own(mixing):
    """The gradient of a shared mixture is the sum of those of the cells."""
    space = ConvCellSpace(**{**TINY, "layers": 5}, mixing=mixing)
    supernet = space.supernet().double()
    assert supernet.cell_groups == ("normal", "reduce", "normal", "reduce", "normal")
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    cells = {"normal": 3, "reduce": 2}
    _, shared = one_hot(space)
    shared = {name: weights.detach().requires_grad_() for name, weights in shared.items()}
    own = {
        name: torch.stack([weights.detach()] * cells[name.removesuffix("_edges")]).requires_grad_()
        for name, weights in shared.items()
    }
    scores = [supernet(images, mixture) for mixture in (shared, own)]
    torch.testing.assert_close(*scores)
    for score in scores:
        score.square().sum().backward()
    for name, weights in shared.items():
        torch.testing.assert_close(own[name].grad.sum(dim=0), weights.grad)
    with torch.no_grad():
        own["normal"][1] = own["normal"][1].flip(0)
    assert not torch.allclose(supernet(images, own), scores[0])


def test_weights_for_another_number_of_cells():
    space = ConvCellSpace(**TINY)
    mixture = uniform_mixture(space)
    mixture["reduce"] = torch.stack([mixture["reduce"]] * 3)
    with pytest.raises(ValueError, match="group 'reduce' has weights for 3 cells, the supernet has 2"):
        space.supernet()(torch.randn(2, 1, 8, 8), mixture)
