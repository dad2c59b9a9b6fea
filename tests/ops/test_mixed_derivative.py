"""Closed forms of the mixed second derivative against PyTorch's own double backward."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from archgrad.autodiff import mixed_derivatives, mixed_derivatives_wanted
from archgrad.ops import mixed_derivative
from archgrad.ops.convolution import Convolution


def mixed_product(loss, weights, others, directions):
    """∇_others ⟨∇_weights loss, directions⟩."""
    gradients = torch.autograd.grad(loss, weights, create_graph=True)
    return torch.autograd.grad(gradients, others, grad_outputs=directions)


GEOMETRIES = [
    {"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1},
    {"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1), "dilation": (1, 1), "groups": 4},
    {"kernel": (5, 5), "stride": (2, 2), "padding": (4, 4), "dilation": (2, 2), "groups": 4},
    {"kernel": (1, 1), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 2},
    {"kernel": (1, 7), "stride": (1, 2), "padding": (0, 3), "dilation": (1, 1), "groups": 2},
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_convolution(geometry):
    """α scales the convolution's input and, behind it, its output: both ways to α are followed."""
    geometry = dict(geometry)
    kernel = geometry.pop("kernel")
    weight = torch.randn(4, 4 // geometry["groups"], *kernel, requires_grad=True)
    x, alpha = torch.randn(2, 4, 7, 6), torch.randn(2, requires_grad=True)
    direction = [torch.randn_like(weight)]

    def loss(convolve):
        y = convolve((x * alpha[0]).sin())
        return (y * alpha[1]).sin().sum()

    def ours(x):
        return mixed_derivative.convolution(x, weight, **geometry)

    def native(x):
        return F.conv2d(x, weight, **geometry)

    torch.testing.assert_close(ours(x), native(x))
    # The weight's gradient is there in a sweep that records a graph only.
    found, expected = (torch.autograd.grad(loss(f), [weight, alpha], create_graph=True) for f in (ours, native))
    torch.testing.assert_close(found, expected)
    expected = mixed_product(loss(native), [weight], [alpha], direction)
    torch.testing.assert_close(mixed_product(loss(ours), [weight], [alpha], direction), expected)


def test_convolution_of_images_that_need_no_gradient():
    """The stem: α enters behind it only."""
    weight, alpha = torch.randn(4, 3, 3, 3, requires_grad=True), torch.randn((), requires_grad=True)
    x, direction = torch.randn(2, 3, 5, 5), [torch.randn(4, 3, 3, 3)]
    geometry = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    ours, native = (
        mixed_product((convolve(x, weight, **geometry) * alpha).sin().sum(), [weight], [alpha], direction)
        for convolve in (mixed_derivative.convolution, F.conv2d)
    )
    torch.testing.assert_close(ours, native)


def test_two_convolutions_in_a_row():
    """The first one's weight gradient passes through the second one, whose weight is held fixed on the way to α."""
    first, second = (torch.randn(4, 4, 3, 3, requires_grad=True) for _ in range(2))
    x, alpha = torch.randn(2, 4, 6, 6), torch.randn(4, requires_grad=True)
    directions = [torch.randn_like(first), torch.randn_like(second)]
    geometry = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}

    def loss(convolve):
        y = convolve(x * alpha[0], first, **geometry).tanh() * alpha[1]
        return (convolve(y, second, **geometry) * alpha[2]).sin().sum() * alpha[3]

    ours, native = (
        mixed_product(loss(convolve), [first, second], [alpha], directions)
        for convolve in (mixed_derivative.convolution, F.conv2d)
    )
    torch.testing.assert_close(ours, native)


def test_batch_norm_has_all_derivatives_of_first_and_second_order():
    """Unlike the convolution it leaves none out."""
    x = torch.randn(3, 2, 2, 3, requires_grad=True)
    scale = torch.randn(2, requires_grad=True)
    assert gradcheck(lambda x, scale: mixed_derivative.batch_norm(x, scale, 1e-5), (x, scale))
    assert gradgradcheck(lambda x, scale: mixed_derivative.batch_norm(x, scale, 1e-5), (x, scale))


def test_batch_norm_against_native_mixed_products():
    """w and α both enter the input; the scale is a mixture weight, hence α's."""
    w, alpha = torch.randn(4, 1, 1, requires_grad=True), torch.randn(4, requires_grad=True)
    x, direction = torch.randn(3, 4, 5, 5), [torch.randn(4, 1, 1)]

    def loss(norm):
        return (norm((x * w + alpha[0] * x.sin()), alpha.softmax(dim=0)) ** 3).sum()

    def native(x, scale):
        return F.batch_norm(x, None, None, scale, None, training=True, eps=1e-5)

    def ours(x, scale):
        return mixed_derivative.batch_norm(x, scale, 1e-5)

    expected = torch.autograd.grad(loss(native), [w, alpha])
    torch.testing.assert_close(torch.autograd.grad(loss(ours), [w, alpha]), expected)
    torch.testing.assert_close(
        mixed_product(loss(ours), [w], [alpha], direction), mixed_product(loss(native), [w], [alpha], direction)
    )


def test_join_is_concatenation_with_its_derivatives():
    parts = [torch.randn(2, channels, 3, 3, requires_grad=True) for channels in (1, 3, 2)]
    cotangent = torch.randn(2, 6, 3, 3)
    joined = mixed_derivative.join(parts)
    assert torch.equal(joined, torch.cat(parts, dim=1))
    expected = torch.autograd.grad(torch.cat(parts, dim=1), parts, cotangent)
    for found, native in zip(torch.autograd.grad(joined, parts, cotangent), expected, strict=True):
        assert torch.equal(found, native)
    assert gradgradcheck(lambda *parts: mixed_derivative.join(parts).sin(), parts)


def test_join_of_the_same_tensor_adds_its_gradients():
    x = torch.randn(2, 3, 2, 2, requires_grad=True)
    mixed_derivative.join([x, x]).sum().backward()
    assert (x.grad == 2).all()


def test_layers_use_the_closed_forms_inside_the_context_only():
    layer = Convolution(2, 2, 3, padding=1)
    x = torch.randn(1, 2, 4, 4)
    assert "Convolution" in type(layer(x).grad_fn).__name__
    assert not mixed_derivatives_wanted()
    with mixed_derivatives():
        assert mixed_derivatives_wanted()
        assert type(layer(x).grad_fn).__name__ == "_ConvolutionBackward"
    assert not mixed_derivatives_wanted()
    assert type(layer(x).grad_fn).__name__ != "_ConvolutionBackward"


def test_context_ends_with_an_error():
    with pytest.raises(ZeroDivisionError), mixed_derivatives():
        raise ZeroDivisionError
    assert not mixed_derivatives_wanted()
