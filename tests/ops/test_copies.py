"""Some copies of an operation are slices of all: values, gradients, and the mixed second derivative."""

import pytest
import torch
import torch.nn.functional as F

from archgrad.autodiff import mixed_derivatives
from archgrad.ops import CONV_CANDIDATES, BatchStatisticsNorm, convolutional_operation
from archgrad.ops.convolution import Convolution
from archgrad.ops.operation import replicate
from archgrad.ops.skip import FactorizedReduction

COPIES = 3
SUBSETS = [(0,), (2,), (0, 2), (2, 1), (0, 1, 2)]
WEIGHTED = [name for name in CONV_CANDIDATES[1:] if name != "noise"]


def make(name, stride):
    return convolutional_operation(
        name, 4, stride, norm=BatchStatisticsNorm, copies=COPIES, normalise_pooling=True
    ).double()


def edges_of(y, kept):
    """The channels of the edges `kept`, in that order."""
    parts = y.chunk(COPIES, dim=1)
    return torch.cat([parts[edge] for edge in kept], dim=1)


def everything(operation, x, kept):
    """The edges `kept` by evaluating all; a shared operation has one evaluation for all."""
    y = operation.body(replicate(x, operation.copies))
    return y if operation.shared else edges_of(y, kept)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", WEIGHTED)
def test_values_and_gradients_are_slices_of_all(state, name, stride):
    operation, rectified = make(name, stride), F.relu(state(4, (7, 8)))
    for kept in SUBSETS:
        found = []
        for evaluate in (operation.of_copies, lambda x, edges: everything(operation, x, edges)):
            x = rectified.clone().requires_grad_()
            y = evaluate(x, kept)
            downstream = torch.linspace(-1, 2, y.numel()).view_as(y)
            gradients = torch.autograd.grad((y * downstream).sum(), (x, *operation.parameters()))
            found.append((y, *gradients))
        torch.testing.assert_close(*found)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", ["sep_conv_3x3", "dil_conv_5x5", "skip_connect", "nor_conv_3x3"])
def test_mixed_derivatives_are_slices_of_all(state, name, stride):
    """∇_s ⟨∇_w L, v⟩ with L = Σ (norm(body) · s)², s the scale that an edge's mixture weight is."""
    operation, rectified = make(name, stride), F.relu(state(4, (7, 8)))
    if operation.shared:
        return
    weights = list(operation.parameters())
    directions = [torch.randn_like(weight) for weight in weights]
    scale = torch.randn(4 * COPIES)
    for kept in SUBSETS:
        found = []
        for evaluate in (operation.of_copies, lambda x, edges: everything(operation, x, edges)):
            p = edges_of(scale.view(1, -1), kept).flatten().requires_grad_()
            with mixed_derivatives():
                y = operation.norm(evaluate(rectified, kept), p)
                loss = (y.square() * torch.linspace(-1, 2, y.numel()).view_as(y)).sum()
            gradients = torch.autograd.grad(loss, weights, create_graph=True)
            product = sum((gradient * v).sum() for gradient, v in zip(gradients, directions, strict=True))
            found.append(torch.autograd.grad(product, p)[0])
        torch.testing.assert_close(*found)


def test_all_edges_in_order_read_the_weights_themselves(state):
    operation = make("nor_conv_3x3", 1)
    x = state(4, (5, 5))
    for kept, whole in (((0, 1, 2), True), ((2, 1, 0), False), ((1,), False)):
        read = operation.of_copies(x, kept).grad_fn.next_functions[1][0]
        assert (getattr(read, "variable", None) is operation.body.weight) == whole


def test_edges_that_are_not_evaluated_cost_nothing(state, monkeypatch):
    """The filters that the kernels see are those of the edges that are kept."""
    filters = []
    plain = F.conv2d

    def spy(x, weight, *rest):
        filters.append(len(weight))
        return plain(x, weight, *rest)

    monkeypatch.setattr(F, "conv2d", spy)
    make("sep_conv_3x3", 1).of_copies(state(4, (5, 5)), (1,))
    make("skip_connect", 2).of_copies(state(4, (5, 5)), (2, 0))
    assert filters == [4, 4, 4, 4, 4, 4]


def test_an_operation_of_one_edge(state, run):
    for name in WEIGHTED:
        operation = convolutional_operation(name, 4, 2, norm=BatchStatisticsNorm, normalise_pooling=False).double()
        x = F.relu(state(4, (7, 8)))
        assert torch.equal(operation.norm(operation.of_copies(x, (0,))), run(operation, x))


def test_the_layers_know_their_copies():
    for name in WEIGHTED:
        for stride in (1, 2):
            layers = [m for m in make(name, stride).modules() if isinstance(m, Convolution | FactorizedReduction)]
            assert all(layer.copies == COPIES for layer in layers), name


@pytest.mark.parametrize("kept", SUBSETS)
def test_layout_of_images_is_kept(state, kept):
    x = state(4, (8, 8)).to(memory_format=torch.channels_last)
    for name in ("sep_conv_3x3", "dil_conv_3x3", "skip_connect"):
        operation = make(name, 2).to(memory_format=torch.channels_last)
        assert operation.of_copies(x, kept).is_contiguous(memory_format=torch.channels_last)
