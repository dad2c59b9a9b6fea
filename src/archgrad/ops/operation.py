"""What the cells are made of: a candidate operation o(x), written once for one edge and for a bundle of edges.

An `Operation` is a body followed by a normalisation. With `copies` = K it computes the same operation for K edges
that leave one state, as one grouped computation: [N, C, H, W] -> [N, K·C, H', W'], edge k (from 0) in channels
k·C … (k+1)·C − 1. With K = 1 it is the plain operation of a decoded network.

The leading ReLU of the convolutional operations is left to the caller, who computes it once per state: `rectified`
says that the operation wants it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from archgrad.autodiff import mixed_derivatives_wanted
from archgrad.ops import mixed_derivative

Normalisation: TypeAlias = Callable[[int], nn.Module]
"""Makes the normalisation of a number of channels: `BatchStatisticsNorm` in a supernet, `nn.BatchNorm2d` after it."""


class BatchStatisticsNorm(nn.Module):
    """Batch normalisation by the statistics of the batch, always: it has no running averages to pollute.

    y = scale · (x − mean) / sqrt(variance + ε) [+ shift]. In a supernet the scale of a candidate's last normalisation
    is its mixture weight (`forward`'s argument), which saves the multiplication by p_o in Eq. 2; `affine=True` gives it
    learnt scale and shift instead (the stem).

    Reference: arXiv:1806.09055, section 3.1.1 and appendix A.1.1 (batch statistics, no affine parameters in search).
    """

    def __init__(self, channels: int, *, affine: bool = False, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(
        self, x: Float[Tensor, "batch channels height width"], scale: Float[Tensor, " channels"] | None = None
    ) -> Float[Tensor, "batch channels height width"]:
        weight = self.weight if scale is None else scale
        if mixed_derivatives_wanted():
            # A new scale of ones is fine: without the context it is not there at all.
            y = mixed_derivative.batch_norm(x, x.new_ones(x.shape[1]) if weight is None else weight, self.epsilon)
            return y if self.bias is None else y + self.bias[:, None, None]
        return F.batch_norm(x, None, None, weight, self.bias, training=True, eps=self.epsilon)


def replicate(
    x: Float[Tensor, "batch channels height width"], copies: int
) -> Float[Tensor, "batch copied height width"]:
    """Repeat the channels: [N, C, H, W] -> [N, copies·C, H, W]."""
    # Concatenation keeps channels_last, which `repeat` does not.
    return x if copies == 1 else mixed_derivative.join([x] * copies)


@runtime_checkable
class PerCopy(Protocol):
    """A layer with weights for each copy, edge-major in dimension 0, which can be evaluated for some of them."""

    def of_copies(self, x: Tensor, kept: Sequence[int]) -> Tensor: ...


def evaluate_copies(
    layer: nn.Module, x: Float[Tensor, "batch channels height width"], kept: Sequence[int]
) -> Float[Tensor, "batch outputs new_height new_width"]:
    """Evaluate a layer for the copies `kept`; one that has no weights treats every channel alike, whosever it is."""
    return layer.of_copies(x, kept) if isinstance(layer, PerCopy) else layer(x)


class Layers(nn.Sequential):
    """Layers one after the other, for all copies or for some of them."""

    def of_copies(
        self, x: Float[Tensor, "batch channels height width"], kept: Sequence[int]
    ) -> Float[Tensor, "batch outputs new_height new_width"]:
        for layer in self:
            x = evaluate_copies(layer, x, kept)
        return x


class Operation(nn.Module):
    """o(x) = norm(body(x)), where x is rectified by the caller if `rectified`.

    `copies`: the body reads x so many times side by side, once for each edge's own filters (`replicate`).
    `shared`: the body has no parameters, so that all edges that leave a state share one evaluation and differ in their
    mixture weight only; its output has C channels whatever the number of copies. `identity`: x itself, which path
    dropout spares.
    """

    def __init__(
        self,
        body: nn.Module,
        norm: nn.Module,
        *,
        rectified: bool,
        shared: bool = False,
        identity: bool = False,
        copies: int = 1,
    ) -> None:
        super().__init__()
        self.body = body
        self.norm = norm
        self.rectified = rectified
        self.shared = shared
        self.identity = identity
        self.copies = copies

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch outputs new_height new_width"]:
        return self.norm(self.body(replicate(x, self.copies)))

    def of_copies(
        self, x: Float[Tensor, "batch channels height width"], kept: Sequence[int]
    ) -> Float[Tensor, "batch outputs new_height new_width"]:
        """The body for the edges `kept` only, in that order: [N, C, H, W] -> [N, len(kept)·C, H', W'].

        These are the edges' channels of `body(replicate(x, copies))`, not yet normalised, at the cost of these edges:
        their filters are cut out of the grouped convolutions, and the others get no gradient but zero. With all edges
        in order nothing is cut. A `shared` body yields its C channels once, as ever.
        """
        side_by_side = x if self.copies == 1 else replicate(x, len(kept))
        return evaluate_copies(self.body, side_by_side, kept)
