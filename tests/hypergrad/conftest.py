"""Bilevel problems small enough for closed forms, in float64."""

from types import SimpleNamespace

import pytest
import torch


@pytest.fixture
def quadratic():
    """L_train = ½‖w − Aα‖², L_val = ½‖w − b‖² + cᵀα, with w and α in two named parts each.

    ∇_w L_train = w − Aα and ∇²_{α,w} L_train · v = −Aᵀv, so that with w' = w − ξ(μ·buffer + w − Aα + λw) the
    hypergradient is c + ξ Aᵀ(w' − b).
    """
    torch.manual_seed(0)
    matrix = torch.randn(5, 3, dtype=torch.float64)
    target, slope = torch.randn(5, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    weight, logit, buffer = (torch.randn(size, dtype=torch.float64) for size in (5, 3, 5))

    def train(weights, logits):
        w, alpha = torch.cat([weights["first"], weights["second"]]), torch.cat([logits["x"][0], logits["y"][0]])
        return (w - matrix @ alpha).square().sum() / 2

    def validation(weights, logits):
        w, alpha = torch.cat([weights["first"], weights["second"]]), torch.cat([logits["x"][0], logits["y"][0]])
        return (w - target).square().sum() / 2 + slope @ alpha

    def clipped(vector, bound):
        return vector if bound is None else vector * min(1.0, bound / float(vector.norm()))

    def closed_form(rate=0.0, momentum=0.0, decay=0.0, buffered=True, clip=None):
        direction = clipped(weight - matrix @ logit, clip) + decay * weight + momentum * buffer * buffered
        return slope + rate * matrix.T @ clipped(weight - rate * direction - target, clip)

    return SimpleNamespace(
        train=train,
        validation=validation,
        closed_form=closed_form,
        weights={"first": weight[:2].clone().requires_grad_(), "second": weight[2:].clone().requires_grad_()},
        logits={"x": logit[None, :1].clone(), "y": logit[None, 1:].clone()},
        buffers={"first": buffer[:2].clone(), "second": buffer[2:].clone()},
    )


@pytest.fixture
def curved():
    """Losses that are quadratic in nothing, with a buffer and weights that each loss ignores, and their arguments."""
    torch.manual_seed(1)
    mixing = torch.randn(4, 3, dtype=torch.float64)

    def train(weights, logits):
        return ((weights["w"] * (mixing @ logits["x"][0]).sin()).exp() + weights["w"] ** 4).sum()

    def validation(weights, logits):
        return (weights["w"] * weights["idle"]).tanh().sum() + (logits["x"].cos() * weights["w"][:3].exp()).sum()

    return SimpleNamespace(
        train=train,
        validation=validation,
        weights={
            "w": torch.randn(4, dtype=torch.float64),
            "idle": torch.randn(4, dtype=torch.float64),
            "unused": torch.randn(2, dtype=torch.float64),
        },
        logits={"x": torch.randn(1, 3, dtype=torch.float64), "unused": torch.randn(2, 2, dtype=torch.float64)},
        buffers={"w": torch.randn(4, dtype=torch.float64)},
    )


@pytest.fixture
def total_derivative():
    """∇_α L_val(w'(α), α) by differentiating through the inner step: the definition, for any problem."""

    def differentiate(problem, *, rate, momentum=0.0, decay=0.0, buffers=None):
        buffers = buffers or {}
        alpha = {name: tensor.detach().requires_grad_() for name, tensor in problem.logits.items()}
        w = {name: tensor.detach().requires_grad_() for name, tensor in problem.weights.items()}
        loss = problem.train(w, alpha)
        gradients = torch.autograd.grad(loss, list(w.values()), create_graph=True, materialize_grads=True)
        stepped = {
            name: w[name] - rate * (gradient + decay * w[name] + momentum * buffers.get(name, 0.0))
            for name, gradient in zip(w, gradients, strict=True)
        }
        found = torch.autograd.grad(problem.validation(stepped, alpha), list(alpha.values()), materialize_grads=True)
        return dict(zip(alpha, found, strict=True))

    return differentiate


@pytest.fixture
def supernet_problem():
    """The tiny problem that a search step really has: two batches and a supernet in float64.

    The candidates are smooth up to their ReLU; maximum pooling is left out, whose kinks disturb finite differences.
    """
    candidates = ("none", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
    return problem_of_supernet(channels=4, nodes=2, candidates=candidates)


@pytest.fixture
def smaller_problem():
    """One node a cell, two edges; the first edge of normal cells lacks its convolution."""
    candidates = ("none", "skip_connect", "sep_conv_3x3")
    return problem_of_supernet(channels=2, nodes=1, candidates=candidates, masked=(0, 2))


def problem_of_supernet(*, channels, nodes, candidates, masked=None):
    from torch.func import functional_call
    from torch.nn.functional import cross_entropy

    from archgrad.relax import Softmax
    from archgrad.spaces import ConvCellSpace

    torch.manual_seed(0)
    space = ConvCellSpace(channels=channels, layers=3, num_classes=3, in_channels=1, nodes=nodes, candidates=candidates)
    supernet = space.supernet().double()
    masks = {group.name: group.mask_tensor() for group in space.groups}
    if masked is not None:
        masks["normal"][masked] = False

    def loss_on(seed):
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn(6, 1, 8, 8, dtype=torch.float64, generator=generator)
        labels = torch.arange(6) % 3

        def loss(weights, logits):
            mixture = {name: Softmax()(tensor, masks[name]) for name, tensor in logits.items()}
            return cross_entropy(functional_call(supernet, weights, (images, mixture)), labels)

        return loss

    return SimpleNamespace(
        train=loss_on(1),
        validation=loss_on(2),
        supernet=supernet,
        weights=dict(supernet.named_parameters()),
        logits={group.name: 0.1 * torch.randn(group.shape, dtype=torch.float64) for group in space.groups},
    )
