"""The derived network: golden sizes, its layers against their definition, path dropout, and the ways out of Python."""

import io

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from archgrad.genotype import (
    AMOEBANET,
    CONV_CELL,
    DARTS_V1,
    DARTS_V2,
    NASNET,
    PUBLISHED,
    Cell,
    Edge,
    Genotype,
    published,
)
from archgrad.spaces import ConvCellSpace, ConvNetwork
from archgrad.spaces.conv.network import AuxiliaryHead, check_genotype
from archgrad.spaces.path_dropout import drop_path, set_path_dropout
from archgrad.training import count_parameters

SKIP = (Edge("skip_connect", 1), Edge("max_pool_3x3", 0))
SMALL = Genotype("conv_cell", (Cell("normal", (SKIP,), (2,)), Cell("reduce", (SKIP,), (2,))))
TINY = {"channels": 4, "layers": 3, "num_classes": 5}


def on_meta(genotype, **size):
    with torch.device("meta"):
        return ConvNetwork(genotype, **size)


@pytest.mark.parametrize(
    ("genotype", "size", "expected"),
    [
        (DARTS_V1, {"channels": 36, "layers": 20}, 3_169_414),
        (DARTS_V2, {"channels": 36, "layers": 20}, 3_349_342),
        (DARTS_V2, {"channels": 48, "layers": 14, "num_classes": 1000, "stem": "imagenet"}, 4_718_752),
    ],
)
def test_golden_numbers_of_parameters(genotype, size, expected):
    """The paper's 3.3 M and 4.7 M, without the auxiliary head; with it, inference uses no more."""
    assert sum(weight.numel() for weight in on_meta(genotype, **size).parameters()) == expected
    with_head = on_meta(genotype, **size, auxiliary=True)
    assert count_parameters(with_head) == expected
    assert sum(weight.numel() for weight in with_head.parameters()) > expected


def test_defaults_are_the_published_size():
    assert count_parameters(on_meta(DARTS_V1)) == 3_169_414


@pytest.mark.parametrize("genotype", [DARTS_V2, NASNET, AMOEBANET])
def test_shapes_of_the_heads(genotype):
    network = on_meta(genotype, channels=36, layers=20, auxiliary=True)
    width = 4 * 36 * len(genotype["normal"].outputs)
    assert network.classifier.weight.shape == (10, width)
    assert network.auxiliary_layer == 13
    assert network.auxiliary.features[0].weight.shape == (128, 4 * 36 * len(genotype["reduce"].outputs), 1, 1)
    assert network.auxiliary.features[3].weight.shape == (768, 128, 2, 2)
    assert network.auxiliary.classifier.weight.shape == (10, 768)


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("name", published(CONV_CELL))
def test_published_genotypes_run(name, stem):
    network = ConvNetwork(PUBLISHED[name], **TINY, stem=stem, auxiliary=True)
    images = torch.randn(2, 3, 32, 32)
    scores, auxiliary = network(images)
    assert scores.shape == auxiliary.shape == (2, 5)
    (scores.sum() + auxiliary.sum()).backward()
    assert all(weight.grad is not None for weight in network.auxiliary.parameters())
    assert network.eval()(images).shape == (2, 5)


def test_a_network_by_hand():
    """Three cells of one node: stem, skip + max pool, two reductions; average; classifier."""
    torch.manual_seed(0)
    network = ConvNetwork(SMALL, **TINY).double()
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)

    def normalised(x):
        return F.batch_norm(x, None, None, training=True)

    def pointwise(x, operation):
        return normalised(F.conv2d(F.relu(x), operation.body.weight))

    def factorized(x, operation):
        x = F.relu(x)
        straight, shifted = operation.body.straight.weight, operation.body.shifted.weight
        return normalised(torch.cat([F.conv2d(x, straight, stride=2), F.conv2d(x[:, :, 1:, 1:], shifted, stride=2)], 1))

    stem = normalised(F.conv2d(images, network.stem.first[0].weight, padding=1))
    first, second, third = network.cells
    x_0, x_1 = (pointwise(stem, operation) for operation in first.adapt.operations)
    one = x_1 + F.max_pool2d(x_0, 3, stride=1, padding=1)
    x_0, x_1 = (pointwise(x, o) for x, o in zip((stem, one), second.adapt.operations, strict=True))
    two = factorized(x_1, second.nodes[0][0]) + F.max_pool2d(x_0, 3, stride=2, padding=1)
    x_0, x_1 = factorized(one, third.adapt.operations[0]), pointwise(two, third.adapt.operations[1])
    three = factorized(x_1, third.nodes[0][0]) + F.max_pool2d(x_0, 3, stride=2, padding=1)
    expected = network.classifier(three.mean(dim=(2, 3)))
    torch.testing.assert_close(network.train()(images), expected)


def test_output_concatenates_the_states_that_the_genotype_lists():
    nodes = ((Edge("skip_connect", 0),), (Edge("skip_connect", 1),), (Edge("skip_connect", 2),))
    cell = Cell("normal", nodes, (4, 1))
    network = ConvNetwork(Genotype("conv_cell", (cell, SMALL["reduce"])), **TINY).eval()
    before, previous = torch.randn(2, 12, 8, 8), torch.randn(2, 12, 8, 8)
    x_0, x_1 = network.cells[0].adapt(before, previous)
    assert torch.equal(network.cells[0](before, previous, 0.0), torch.cat([x_0, x_1], dim=1))


@pytest.mark.parametrize("size", [(8, 8), (9, 11)])
def test_small_and_odd_images(size):
    network = ConvNetwork(DARTS_V2, **TINY, auxiliary=True)
    scores, auxiliary = network(torch.randn(2, 3, *size))
    assert scores.shape == auxiliary.shape == (2, 5)


def test_all_norms_of_a_network_are_affine_and_track():
    norms = [module for module in ConvNetwork(DARTS_V2, **TINY).modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(norm.affine and norm.track_running_stats for norm in norms)


# -- auxiliary head -------------------------------------------------------------------------------------------------


def test_auxiliary_scores_in_training_mode_only():
    network = ConvNetwork(SMALL, **TINY, auxiliary=True)
    images = torch.randn(2, 3, 8, 8)
    assert isinstance(network.train()(images), tuple)
    assert isinstance(network.eval()(images), torch.Tensor)
    assert isinstance(ConvNetwork(SMALL, **TINY).train()(images), torch.Tensor)


@pytest.mark.parametrize(("stem", "size", "stride"), [("cifar", 8, 3), ("imagenet", 7, 2)])
def test_auxiliary_head_as_published(stem, size, stride):
    """On the sizes of the papers, 8×8 and 7×7, two pixels are left behind the pooling and one at the end."""
    torch.manual_seed(0)
    head = AuxiliaryHead(6, 5, stem=stem)
    x = torch.randn(2, 6, size, size)
    narrow, wide = head.features[0].weight, head.features[3].weight
    y = F.avg_pool2d(F.relu(x), 5, stride=stride)
    assert y.shape[2:] == (2, 2)
    y = F.relu(F.batch_norm(F.conv2d(y, narrow), None, None, training=True))
    y = F.conv2d(y, wide)
    if stem == "cifar":
        y = F.batch_norm(y, None, None, training=True)
    torch.testing.assert_close(head(x), head.classifier(F.relu(y).flatten(1)), rtol=1e-4, atol=1e-4)


# -- path dropout ---------------------------------------------------------------------------------------------------


def test_whole_samples_are_dropped_and_the_mean_is_kept():
    torch.manual_seed(0)
    dropped = drop_path(torch.ones(4000, 2, 3, 3), 0.25)
    per_sample = dropped.flatten(1)
    assert (per_sample == per_sample[:, :1]).all()
    values = per_sample[:, 0]
    assert values.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert abs(values.mean() - 1) < 4 * (1 / 3 / 4000) ** 0.5  # four standard deviations: variance p / (1 − p)


def test_identities_are_spared_and_evaluation_drops_nothing():
    """The identity keeps every sample alive at stride 1, where the pooled path comes and goes."""
    torch.manual_seed(0)
    cell = ConvNetwork(SMALL, **TINY).cells[0]
    before, previous = torch.randn(64, 12, 4, 4), torch.randn(64, 12, 4, 4)
    x_0, x_1 = cell.adapt(before, previous)
    pooled = (cell(before, previous, 0.5) - x_1).flatten(1)
    expected = 2 * F.max_pool2d(x_0, 3, stride=1, padding=1).flatten(1)
    dropped = pooled.abs().amax(dim=1) < 1e-5
    assert 0 < dropped.sum() < 64
    torch.testing.assert_close(pooled[~dropped], expected[~dropped], rtol=1e-4, atol=1e-4)
    cell.eval()
    assert torch.equal(cell(before, previous, 0.5), cell(before, previous, 0.0))


def test_paths_are_dropped_independently(monkeypatch):
    from archgrad.spaces.conv import decoded as decoded_module

    probabilities = []
    monkeypatch.setattr(decoded_module, "drop_path", lambda x, probability: probabilities.append(probability) or x)
    network = ConvNetwork(SMALL, **TINY)
    set_path_dropout(network, 0.3)
    network(torch.randn(2, 3, 8, 8))
    # The reductions' skip connections are factorised and no identities.
    assert probabilities == [0.3] * 5


def test_path_dropout_is_checked_and_only_set_where_there_is_one():
    network = ConvNetwork(SMALL, **TINY)
    with pytest.raises(ValueError, match=r"path_dropout: must lie in \[0, 1\), got 1.0"):
        set_path_dropout(network, 1.0)
    with pytest.raises(ValueError, match=r"path_dropout: must lie in"):
        set_path_dropout(network, -0.1)
    other = nn.Linear(2, 2)
    set_path_dropout(other, 0.3)
    assert not hasattr(other, "path_dropout")


# -- out of Python --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("genotype", [SMALL, DARTS_V2])
def test_an_exported_program_agrees_for_any_number_of_images(genotype):
    network = ConvNetwork(genotype, **TINY).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(network, (torch.randn(2, 3, 16, 16),), dynamic_shapes=({0: batch},)).module()
    images = torch.randn(5, 3, 16, 16)
    torch.testing.assert_close(exported(images), network(images))


def test_state_dict_round_trip():
    network, other = (ConvNetwork(DARTS_V2, **TINY).eval() for _ in range(2))
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(network(images), other(images))


# -- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 5}, r"channels: must be even for the factorised reductions, got 5"),
        ({"channels": 0}, r"channels: must be at least 2, got 0"),
        ({"layers": 2}, r"layers: must be at least 3, got 2"),
        ({"num_classes": 1}, r"num_classes: must be at least 2, got 1"),
        ({"in_channels": 0}, r"in_channels: must be at least 1, got 0"),
        ({"stem": "cifar10"}, r"stem: 'cifar10' is unknown; did you mean 'cifar'\? Allowed: cifar, imagenet"),
    ],
)
def test_sizes_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        ConvNetwork(SMALL, **{**TINY, **changes})


@pytest.mark.parametrize(
    ("genotype", "message"),
    [
        (Genotype("recurrent", SMALL.cells), r"genotype: belongs to the space 'recurrent', this network needs 'conv_"),
        (Genotype("conv_cell", SMALL.cells[:1]), r"genotype: needs the cells 'normal' and 'reduce', got \['normal'\]"),
        (
            Genotype("conv_cell", (Cell("normal", ((Edge("sep_conv_9x9", 0),),), (2,)), SMALL["reduce"])),
            r"genotype: 'sep_conv_9x9' is unknown; did you mean 'sep_conv_",
        ),
        (
            Genotype("conv_cell", (Cell("normal", ((Edge("none", 0),),), (2,)), SMALL["reduce"])),
            r"genotype: 'none' is unknown",
        ),
        (
            Genotype("conv_cell", (Cell("normal", ((Edge("skip_connect", 0),),), (1,), 1), SMALL["reduce"])),
            r"genotype: cell 'normal' has 1 inputs, convolutional cells have 2",
        ),
    ],
)
def test_genotypes_that_do_not_fit(genotype, message):
    with pytest.raises(ValueError, match=message):
        check_genotype(genotype)
    with pytest.raises(ValueError, match=message):
        ConvNetwork(genotype, **TINY)


def test_random_cells_build_and_run():
    import numpy as np

    space = ConvCellSpace(**TINY)
    generator = np.random.default_rng(0)
    for _ in range(3):
        network = space.network(space.random_genotype(generator))
        assert network(torch.randn(2, 3, 8, 8)).shape == (2, 5)
