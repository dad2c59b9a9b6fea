"""Convolution and batch normalisation whose weight gradients can be differentiated once more, cheaply.

The exact second-order hypergradient needs ∇²_{α,w} L · v = ∇_α ⟨∇_w L, v⟩ (arXiv:1806.09055, Eq. 7): the gradient of a
gradient. The double backward that ships with PyTorch evaluates a grouped convolution group by group there, which makes
a depthwise convolution of C channels C small ones, and it always follows ∇²_{w,w} too, which nobody asks for. Both
operations are written here with closed forms for what α's gradient needs, and nothing else.

Inside `autodiff.mixed_derivatives()` the layers of this package use them: first derivatives are the usual ones, second
derivatives with respect to (w, w) are left out. Inside `autodiff.second_derivatives()` these are there as well, as one
more convolution. Outside both they are PyTorch's own.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from archgrad.autodiff import weight_derivatives_wanted


def convolution(
    x: Float[Tensor, "batch channels height width"],
    weight: Float[Tensor, "outputs group_channels kernel_height kernel_width"],
    stride: tuple[int, ...],
    *,
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> Float[Tensor, "batch outputs new_height new_width"]:
    """y = C(x, W), a convolution without bias; C is bilinear, and so are the two maps of its gradient."""
    y = _Convolution.apply(x, weight, (stride, padding, dilation, groups))
    assert isinstance(y, Tensor)
    return y


def batch_norm(
    x: Float[Tensor, "batch channels height width"], scale: Float[Tensor, " channels"], epsilon: float
) -> Float[Tensor, "batch channels height width"]:
    """y = scale · x̂, x̂ = (x − mean) / sqrt(variance + ε), statistics per channel of this batch."""
    y = _BatchNorm.apply(x, scale, epsilon)
    assert isinstance(y, Tensor)
    return y


def _convolve(x: Tensor, weight: Tensor, geometry: tuple[Any, ...]) -> Tensor:
    stride, padding, dilation, groups = geometry
    return torch.ops.aten.convolution(x, weight, None, stride, padding, dilation, False, [0, 0], groups)


def _convolution_gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, geometry: tuple[Any, ...], *, mask: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Cᵀ_x(g, W) and Cᵀ_W(g, x), those which the mask wants."""
    stride, padding, dilation, groups = geometry
    of_x, of_weight, _ = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, stride, padding, dilation, False, [0, 0], groups, [*mask, False]
    )
    return of_x, of_weight


class _Convolution(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, geometry: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        ctx.weights_too = weight_derivatives_wanted()
        return _convolve(x, weight, geometry)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        x, weight = ctx.saved_tensors
        # The first sweep, which records a graph, makes ∇_w L; the second goes on to α and, unless told otherwise, holds
        # the weights fixed.
        of_weights = ctx.needs_input_grad[1] and (ctx.weights_too or torch.is_grad_enabled())
        mask = ctx.needs_input_grad[0], of_weights
        of_x, of_weight = _ConvolutionGradient.apply(grad_outputs[0], x, weight, ctx.geometry, (mask, ctx.weights_too))
        return of_x, of_weight, None


class _ConvolutionGradient(Function):
    """(g, x, W) -> (Cᵀ_x(g, W), Cᵀ_W(g, x)); its own gradient follows g and x, and W where `weights_too`."""

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, x: Tensor, weight: Tensor, geometry: tuple[Any, ...], wanted: tuple[Any, bool]
    ) -> Any:
        mask, ctx.weights_too = wanted
        ctx.save_for_backward(gradient, x, weight)
        ctx.geometry = geometry
        ctx.set_materialize_grads(False)
        return _convolution_gradients(gradient, x, weight, geometry, mask=mask)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        gradient, x, weight = ctx.saved_tensors
        along_x, along_weight = cotangents
        of_gradient, of_x, of_weight = None, None, None
        if along_x is not None:
            of_gradient = _convolve(along_x, weight, ctx.geometry)
            if ctx.weights_too and ctx.needs_input_grad[2]:
                _, of_weight = _convolution_gradients(gradient, along_x, weight, ctx.geometry, mask=(False, True))
        if along_weight is not None:
            turned = _convolve(x, along_weight, ctx.geometry)
            of_gradient = turned if of_gradient is None else of_gradient.add_(turned)
            if ctx.needs_input_grad[1]:
                of_x, _ = _convolution_gradients(gradient, x, along_weight, ctx.geometry, mask=(True, False))
        return of_gradient, of_x, of_weight, None, None


class _BatchNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, epsilon: float) -> Tensor:
        y, mean, inverse = torch.ops.aten.native_batch_norm(x, scale, None, None, None, True, 0.0, epsilon)
        ctx.save_for_backward(x, scale, mean, inverse)
        ctx.epsilon = epsilon
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        x, scale, mean, inverse = ctx.saved_tensors
        of_x, of_scale = _BatchNormGradient.apply(grad_outputs[0], x, scale, mean, inverse, ctx.epsilon)
        return of_x, of_scale, None


class _BatchNormGradient(Function):
    """(g, x, s) -> (s·r·P(g), Σ g·x̂) with r = 1/sqrt(variance + ε) and P(g) = g − m(g) − x̂·m(g·x̂), m the mean.

    For cotangents a of the first and b of the second output, and n elements a channel, its own gradient is
        to g:  s·r·P(a) + b·x̂
        to s:  r·⟨a, P(g)⟩
        to x:  r·P(u) − (r/n)·⟨a, s·r·P(g)⟩·x̂   with u = b·g − s·r·(a·m(g·x̂) + g·m(a·x̂)),
    P being symmetric, ∂x̂ = r·P(∂x) and ∂r = −(r²/n)·⟨x̂, ∂x⟩. Per channel all are sums a·c₁ + g·c₂ + x·c₃ + c₀.
    """

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, x: Tensor, scale: Tensor, mean: Tensor, inverse: Tensor, epsilon: float
    ) -> Any:
        of_x, of_scale, of_shift = torch.ops.aten.native_batch_norm_backward(
            gradient, x, scale, None, None, mean, inverse, True, epsilon, [True, True, True]
        )
        ctx.save_for_backward(gradient, x, scale, mean, inverse, of_scale, of_shift)
        ctx.epsilon = epsilon
        return of_x, of_scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        g, x, s, mean, r, sum_gx, sum_g = ctx.saved_tensors
        a, b = cotangents
        count = x.numel() // x.shape[1]
        projected, sum_ax, sum_a = torch.ops.aten.native_batch_norm_backward(
            a, x, torch.ones_like(s), None, None, mean, r, True, ctx.epsilon, [True, True, True]
        )  # r·P(a), Σ a·x̂, Σ a, by the kernel that fuses them
        mean_a, mean_g, mean_ax, mean_gx = (total / count for total in (sum_a, sum_g, sum_ax, sum_gx))
        mean_ag = (a * g).mean(dim=(0, 2, 3)) - mean_a * mean_g - mean_ax * mean_gx  # ⟨a, P(g)⟩ / n

        of_g = _affine(x, b * r, -mean * b * r).addcmul_(projected, _channels(s))
        on_a, on_g = -s * r * mean_gx, b - s * r * mean_ax
        mean_u = on_a * mean_a + on_g * mean_g
        mean_ux = on_a * mean_ax + on_g * mean_gx
        on_x = -(r * mean_ux + s * r * r * mean_ag) * r
        of_x = _affine(x, on_x, -mean * on_x - r * mean_u)
        of_x = of_x.addcmul_(a, _channels(r * on_a)).addcmul_(g, _channels(r * on_g))
        return of_g, of_x, r * mean_ag * count, None, None, None


def _affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return torch.addcmul(_channels(shift), x, _channels(scale))


def _channels(values: Tensor) -> Tensor:
    return values[:, None, None]


class _Join(Function):
    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        ctx.sizes = [part.shape[1] for part in parts]
        return torch.cat(parts, dim=1)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        return grad_outputs[0].split(ctx.sizes, dim=1)


def join(parts: Sequence[Tensor]) -> Float[Tensor, "batch channels height width"]:
    """Concatenate channels; the gradient is one `split`, whose own gradient is one concatenation again.

    That of `torch.cat` is a slice for each part, whose own gradients are as many zero-padded copies of the whole.
    """
    joined = _Join.apply(*parts)
    assert isinstance(joined, Tensor)
    return joined
