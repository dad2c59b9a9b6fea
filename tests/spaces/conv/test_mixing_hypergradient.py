"""The exact second-order hypergradient of supernets with variants of the mixed operation, against double backward."""

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from archgrad.hypergrad import FirstOrder, InnerStep, Losses, Unrolled
from archgrad.mixing import Mixing
from archgrad.relax import Softmax
from archgrad.spaces import ConvCellSpace

CANDIDATES = ("none", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
RATE, DECAY = 0.1, 0.01


def hard(logits, mask):
    """Straight-through: the value of the choice, the gradient of the softmax, and no rounding off zero."""
    soft = Softmax()(logits, mask)
    one_hot = F.one_hot(soft.argmax(dim=1), soft.shape[1]).to(soft)
    return one_hot + (soft - soft.detach())


def problem(mixing):
    """Two losses of (w, α) on small batches, in float64, and where they are taken."""
    torch.manual_seed(0)
    space = ConvCellSpace(
        channels=4, layers=3, num_classes=3, in_channels=1, nodes=2, candidates=CANDIDATES, mixing=mixing
    )
    supernet = space.supernet().double()
    supernet.progress = 0.3
    masks = {group.name: group.mask_tensor() for group in space.groups}
    relax = {
        group.name: hard if mixing.one_path and group.role == "operations" else Softmax() for group in space.groups
    }

    def loss_on(seed):
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn(6, 1, 9, 8, dtype=torch.float64, generator=generator)
        labels = torch.arange(6) % 3

        def loss(weights, logits):
            torch.manual_seed(seed)  # the same dropout masks in every evaluation
            mixture = {name: relax[name](tensor, masks[name]) for name, tensor in logits.items()}
            return F.cross_entropy(functional_call(supernet, weights, (images, mixture)), labels)

        return loss

    logits = {group.name: torch.randn(group.shape, dtype=torch.float64) for group in space.groups}
    return Losses(loss_on(1), loss_on(2)), dict(supernet.named_parameters()), logits


def total_derivative(losses, weights, logits):
    """∇_α L_val(w'(α), α) through the inner step, by PyTorch's own double backward."""
    alpha = {name: tensor.clone().requires_grad_() for name, tensor in logits.items()}
    w = {name: tensor.detach().requires_grad_() for name, tensor in weights.items()}
    gradients = torch.autograd.grad(losses.train(w, alpha), list(w.values()), create_graph=True, materialize_grads=True)
    stepped = {name: w[name] - RATE * (gradient + DECAY * w[name]) for name, gradient in zip(w, gradients, strict=True)}
    found = torch.autograd.grad(losses.validation(stepped, alpha), list(alpha.values()), materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in found])


@pytest.mark.parametrize(
    "mixing",
    [
        Mixing(partial_channels=2, edge_normalisation=True),
        Mixing(auxiliary_skip=1.0, skip_dropout=0.3),
        Mixing(one_path=True),
        Mixing(one_path=True, partial_channels=2, edge_normalisation=True),
    ],
)
def test_unrolled_is_the_total_derivative(mixing):
    losses, weights, logits = problem(mixing)
    inner = InnerStep(learning_rate=RATE, weight_decay=DECAY)
    found, first = (
        torch.cat([gradient.flatten() for gradient in estimator(losses, weights, logits, inner=inner).values()])
        for estimator in (Unrolled(), FirstOrder())
    )
    expected = total_derivative(losses, weights, logits)
    assert (found - expected).norm() <= 1e-9 * expected.norm()
    assert (first - expected).norm() > 1e-3 * expected.norm()
