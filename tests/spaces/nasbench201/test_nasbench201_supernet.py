"""The relaxed network: both engines agree, hard choices are the network they decode to, no pass leaves a trace."""

import pytest
import torch
from torch import nn

from archgrad.mixing import Mixing
from archgrad.relax import Softmax
from archgrad.spaces.nasbench201 import NASBench201Space
from archgrad.spaces.nasbench201.network import DerivedCell
from archgrad.spaces.nasbench201.supernet import RelaxedCell


def as_bundled(tensors, bundled):
    """Rename what a per-edge supernet calls its parameters: edges that leave a state stand side by side."""
    renamed = {}
    for name, _ in bundled.named_parameters():
        cell, found, rest = name.partition(".interior.bundles.")
        if not found:
            renamed[name] = tensors[name]
            continue
        source, _, operation, tail = rest.split(".", 3)
        rows = [row for row in bundled.group.leaving(int(source)) if operation in bundled.group.choices[row]]
        renamed[name] = torch.cat([tensors[f"{cell}.interior.edges.{row}.{operation}.{tail}"] for row in rows])
    return renamed


def differentiate(supernet, space, images):
    """Scores, and their gradients by the weights and by the logits, for fixed logits."""
    torch.manual_seed(1)
    logits = {group.name: torch.randn(group.shape, dtype=torch.float64).requires_grad_() for group in space.groups}
    mixture = {group.name: Softmax()(logits[group.name], group.mask_tensor()) for group in space.groups}
    scores = supernet(images, mixture)
    (scores * torch.randn_like(scores)).sum().backward()
    weights = {name: weight.grad for name, weight in supernet.named_parameters()}
    return scores.detach(), weights, {name: tensor.grad for name, tensor in logits.items()}


@pytest.mark.parametrize(
    "mixing",
    [Mixing(), Mixing(partial_channels=2, edge_normalisation=True), Mixing(auxiliary_skip=0.5)],
)
@pytest.mark.parametrize("choices", [{}, {"cell": {(0, 1): ("none",), (0, 3): ("skip_connect", "nor_conv_3x3")}}])
def test_engines_agree(mixing, choices):
    space = NASBench201Space(channels=4, cells=1, num_classes=3, in_channels=1, mixing=mixing, choices=choices)
    torch.manual_seed(0)
    reference, bundled = space.supernet(engine="per_edge").double(), space.supernet().double()
    bundled.load_state_dict(as_bundled(reference.state_dict(), bundled))
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    scores, weights, logits = differentiate(reference, space, images)
    expected = scores, as_bundled(weights, bundled), logits
    torch.testing.assert_close(differentiate(bundled, space, images), expected, rtol=1e-9, atol=1e-9)


def take_over(network, supernet, mixture):
    """Give a derived network the weights that the supernet has for its choices."""
    network.stem.load_state_dict(supernet.stem.state_dict(), strict=False)
    network.head.load_state_dict(supernet.head.state_dict(), strict=False)
    for derived, relaxed in zip(network.cells, supernet.cells, strict=True):
        if not isinstance(derived, DerivedCell):
            derived.load_state_dict(relaxed.state_dict(), strict=False)
            continue
        group = relaxed.interior.group
        for target, operations in enumerate(derived.nodes, start=1):
            for row, operation in zip(group.entering(target), operations, strict=True):
                name = group.candidates[int(mixture["cell"][row].argmax())]
                if name.startswith("nor_conv"):
                    operation.body.load_state_dict(relaxed.interior.edges[row][name].body.state_dict())


def test_hard_choices_are_the_network_they_decode_to(small, mixed_cell):
    """With batch statistics in both, as in training mode: scores and gradients of what both have."""
    torch.manual_seed(0)
    mixture = {name: weights.double() for name, weights in small.encode(mixed_cell).items()}
    supernet = small.supernet(engine="per_edge").double()
    network = small.network(mixed_cell).double().train()
    take_over(network, supernet, mixture)
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    scores, expected = supernet(images, mixture), network(images)
    torch.testing.assert_close(scores, expected, rtol=1e-9, atol=1e-9)
    scores.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(supernet.stem[0].weight.grad, network.stem[0].weight.grad, rtol=1e-8, atol=1e-8)


def test_pooling_is_not_normalised(small):
    """On a cell that pools all edges into the output, the output is a plain average."""
    supernet = small.supernet()
    cell = next(cell for cell in supernet.cells if isinstance(cell, RelaxedCell))
    mixture = torch.zeros(6, 5)
    mixture[:, 0] = 1
    mixture[3] = torch.tensor([0.0, 0, 0, 0, 1])
    x = torch.randn(2, 4, 6, 6)
    expected = nn.functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    torch.testing.assert_close(cell(x, mixture), expected)


def test_none_takes_mass_and_contributes_nothing(small):
    for engine in ("bundled", "per_edge"):
        cell = small.supernet(engine=engine).cells[0]
        mixture = torch.zeros(6, 5)
        mixture[:, 0], mixture[3, 0], mixture[3, 1] = 1, 0.25, 0.75
        x = torch.randn(2, 4, 6, 6)
        torch.testing.assert_close(cell(x, mixture), 0.75 * x)


def test_each_cell_may_have_weights_of_its_own(small):
    supernet, images = small.supernet(), torch.randn(4, 1, 8, 8)
    assert supernet.cell_groups == ("cell",) * 3
    shared = torch.rand(6, 5)
    expected = supernet(images, {"cell": shared})
    torch.testing.assert_close(supernet(images, {"cell": shared.expand(3, 6, 5)}), expected)
    for cell in range(3):
        weights = shared.repeat(3, 1, 1)
        weights[cell] += 1
        assert not torch.allclose(supernet(images, {"cell": weights}), expected)
    with pytest.raises(ValueError, match=r"group 'cell' has weights for 2 cells, the supernet has 3"):
        supernet(images, {"cell": shared.expand(2, 6, 5)})


@pytest.mark.parametrize("training", [True, False])
def test_forward_passes_leave_no_trace(small, training):
    supernet = small.supernet().train(training)
    assert set(supernet.state_dict()) == {name for name, _ in supernet.named_parameters()}
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    images, mixture = torch.randn(4, 1, 8, 8), {"cell": torch.full((6, 5), 0.2)}
    first = supernet(images, mixture)
    first.sum().backward()
    supernet(10 * images, mixture)
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())
    assert torch.equal(supernet(images, mixture), first)


def test_progress_reaches_every_cell():
    space = NASBench201Space(channels=4, cells=1, num_classes=3, in_channels=1, mixing=Mixing(auxiliary_skip=1.0))
    supernet, images, mixture = space.supernet(), torch.randn(4, 1, 8, 8), {"cell": torch.full((6, 5), 0.2)}
    begun = supernet(images, mixture)
    supernet.progress = 1.0
    assert supernet.progress == 1.0
    plain = space.mixed(Mixing()).supernet()
    plain.adopt(supernet)
    torch.testing.assert_close(supernet(images, mixture), plain(images, mixture))
    assert not torch.allclose(begun, plain(images, mixture))


def test_operations_are_all_convolutions_of_all_cells(small):
    supernet = small.supernet()
    operations = supernet.operations()
    assert len(operations) == 3 * 6 * 2  # cells, edges, 1×1 and 3×3
    parameters = dict(supernet.named_parameters())
    first = operations[0, 4, "nor_conv_3x3"]  # edge 1 -> 3 is the second to leave node 1
    assert [(entry.start, entry.stop) for entry in first] == [(4, 8)]
    sliced = sum(
        (entry.stop - entry.start) * parameters[entry.parameter][0].numel()
        for entries in operations.values()
        for entry in entries
    )
    assert sliced == 6 * (9 + 1) * (4**2 + 8**2 + 16**2)


def test_deeper_supernets_adopt_stem_cells_and_residual_blocks(small):
    deeper = small.narrowed({}, layers=6).supernet()
    supernet = small.supernet()
    deeper.adopt(supernet)
    ours, theirs = dict(deeper.named_parameters()), dict(supernet.named_parameters())
    for place, other in ((0, 0), (2, 1), (3, 2), (5, 3), (6, 4)):
        found = [key for key in theirs if key.startswith(f"cells.{other}.")]
        assert found
        assert all(torch.equal(ours[key.replace(str(other), str(place), 1)], theirs[key]) for key in found)
    assert torch.equal(deeper.head.classifier.weight, supernet.head.classifier.weight)


def test_weights_are_in_channels_last(small):
    weights = [weight for weight in small.supernet().parameters() if weight.ndim == 4]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


def test_one_path_evaluates_hard_choices_alone(small, mixed_cell):
    """Equal scores to all candidates with weights of zero; what is not chosen gets no gradient."""
    torch.manual_seed(0)
    paths, plain = small.mixed(Mixing(one_path=True)).supernet().double(), small.supernet().double()
    plain.load_state_dict(paths.state_dict())
    images, mixture = torch.randn(4, 1, 8, 8).double(), {"cell": small.encode(mixed_cell)["cell"].double()}
    scores = paths(images, mixture)
    torch.testing.assert_close(scores, plain(images, mixture), rtol=1e-9, atol=1e-9)
    scores.sum().backward()
    parameters = dict(paths.named_parameters())
    chosen = {(0, "nor_conv_3x3"), (1, "nor_conv_1x1"), (5, "nor_conv_3x3")}
    for (_, row, candidate), ((name, start, stop), *_) in paths.operations().items():
        gradient = parameters[name].grad
        moved = gradient is not None and bool(gradient[start:stop].any())
        assert moved == ((row, candidate) in chosen)


def test_dropout_on_skips_follows_mode_and_progress():
    space = NASBench201Space(channels=4, cells=1, num_classes=3, in_channels=1, mixing=Mixing(skip_dropout=0.5))
    supernet, images = space.supernet(), torch.randn(4, 1, 8, 8)
    mixture = {"cell": torch.full((6, 5), 0.2)}
    assert not torch.allclose(supernet(images, mixture), supernet(images, mixture))
    supernet.eval()
    assert torch.equal(supernet(images, mixture), supernet(images, mixture))
