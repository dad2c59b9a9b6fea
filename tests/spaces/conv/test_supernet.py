"""The relaxed network: golden size, equation 3 by hand, and no trace of a forward pass."""

import pytest
import torch
import torch.nn.functional as F

from archgrad.ops import convolutional_operation
from archgrad.spaces import ConvCellSpace

TINY = {"channels": 4, "layers": 3, "num_classes": 3, "in_channels": 2, "nodes": 2}


def uniform_mixture(space):
    return {group.name: torch.full(group.shape, 1 / group.shape[1]) for group in space.groups}


@pytest.mark.parametrize("engine", ["bundled", "per_edge"])
def test_golden_number_of_parameters(engine):
    with torch.device("meta"):
        supernet = ConvCellSpace(channels=16, layers=8, num_classes=10).supernet(engine=engine)
    assert sum(weight.numel() for weight in supernet.parameters()) == 1_930_618


@pytest.mark.parametrize("engine", ["bundled", "per_edge"])
def test_no_persistent_buffers_and_no_logits_among_the_parameters(engine):
    space = ConvCellSpace(**TINY)
    supernet = space.supernet(engine=engine)
    assert set(supernet.state_dict()) == {name for name, _ in supernet.named_parameters()}
    assert not {group.shape for group in space.groups} & {tuple(weight.shape) for weight in supernet.parameters()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("engine", ["bundled", "per_edge"])
def test_forward_passes_leave_no_trace(engine, training):
    space = ConvCellSpace(**TINY)
    supernet = space.supernet(engine=engine).train(training)
    before = {name: tensor.clone() for name, tensor in [*supernet.state_dict().items(), *supernet.named_buffers()]}
    images, mixture = torch.randn(4, 2, 8, 8), uniform_mixture(space)
    first = supernet(images, mixture)
    first.sum().backward()
    supernet(10 * images, mixture)
    after = dict([*supernet.state_dict().items(), *supernet.named_buffers()])
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items())
    assert torch.equal(supernet(images, mixture), first)


def test_modes_do_not_differ():
    space = ConvCellSpace(**TINY)
    supernet = space.supernet()
    images, mixture = torch.randn(4, 2, 8, 8), uniform_mixture(space)
    assert torch.equal(supernet.train()(images, mixture), supernet.eval()(images, mixture))


@pytest.mark.parametrize("engine", ["bundled", "per_edge"])
def test_a_cell_of_hard_choices_is_the_cell_they_decode_to(engine):
    """Eq. 3 with a one-hot mixture: x_2 = max_pool(x_0) + x_1, x_3 = avg_pool(x_1) + x_2; edge 0 -> 3 is `none`."""
    space = ConvCellSpace(**TINY, candidates=("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect"))
    cell = space.supernet(engine=engine).cells[0]
    before, previous = torch.randn(2, 12, 8, 8), torch.randn(2, 12, 8, 8)
    mixture = F.one_hot(torch.tensor([1, 3, 0, 2, 3]), 4).float()
    x_0, x_1 = cell.adapt(before, previous)

    def normalised(x):
        return F.batch_norm(x, None, None, training=True)

    x_2 = normalised(F.max_pool2d(x_0, 3, stride=1, padding=1)) + x_1
    x_3 = normalised(F.avg_pool2d(x_1, 3, stride=1, padding=1, count_include_pad=False)) + x_2
    torch.testing.assert_close(cell(before, previous, mixture), torch.cat([x_2, x_3], dim=1), rtol=1e-4, atol=1e-5)


def test_edges_that_leave_the_inputs_of_a_reduction_have_stride_two():
    space = ConvCellSpace(**TINY)
    normal, reduction, _ = space.supernet().cells
    mixture = uniform_mixture(space)["reduce"]
    assert normal(torch.randn(2, 12, 8, 8), torch.randn(2, 12, 8, 8), mixture).shape == (2, 8, 8, 8)
    assert reduction(torch.randn(2, 12, 8, 8), torch.randn(2, 8, 8, 8), mixture).shape == (2, 16, 4, 4)


def test_groups_are_shared_by_all_cells_of_a_kind():
    """And each of the two moves the scores."""
    space = ConvCellSpace(**{**TINY, "layers": 5})
    supernet = space.supernet()
    assert [cell.kind for cell in supernet.cells] == ["normal", "reduce", "normal", "reduce", "normal"]
    images, mixture = torch.randn(4, 2, 8, 8), uniform_mixture(space)
    base = supernet(images, mixture)
    assert base.shape == (4, 3)
    for name in mixture:
        changed = {**mixture, name: mixture[name].flip(dims=(0,)) * torch.linspace(0.5, 1.5, 8)}
        assert not torch.allclose(supernet(images, changed), base)


def test_weights_are_in_channels_last():
    supernet = ConvCellSpace(**TINY).supernet()
    weights = [weight for weight in supernet.parameters() if weight.ndim == 4]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


def test_none_is_no_operation_that_could_be_made():
    with pytest.raises(ValueError, match="operation: 'none' is unknown"):
        convolutional_operation("none", 4, 1, norm=torch.nn.BatchNorm2d, normalise_pooling=True)
