"""The comparison of the two engines, and the small supernets of these tests."""

import re

import pytest
import torch

from archgrad.relax import Softmax


def as_bundled(tensors, bundled, space):
    """Rename what a per-edge supernet calls its parameters: the edges of a bundle are concatenated by target."""
    groups = {group.name: group for group in space.groups}
    renamed = {}
    for name, _ in bundled.named_parameters():
        found = re.fullmatch(r"cells\.(\d+)\.interior\.(bundles|auxiliary)\.(\d+)\.(?:operations\.(\w+)\.)?(.+)", name)
        if found is None:
            renamed[name] = tensors[name]
            continue
        layer, where, source, operation, rest = found.groups()
        group = groups[bundled.cells[int(layer)].kind]
        rows = group.leaving(int(source))
        prefix = f"cells.{layer}.interior."
        if where == "auxiliary":
            parts = [tensors[f"{prefix}auxiliary.{row}.{rest}"] for row in rows]
        else:
            parts = [
                tensors[f"{prefix}edges.{row}.{operation}.{rest}"] for row in rows if operation in group.choices[row]
            ]
        renamed[name] = torch.cat(parts)
    return renamed


def soft(space):
    """Differentiable mixtures from fixed logits."""
    torch.manual_seed(1)
    logits = {group.name: torch.randn(group.shape, dtype=torch.float64).requires_grad_() for group in space.groups}
    return logits, {group.name: Softmax()(logits[group.name], group.mask_tensor()) for group in space.groups}


def differentiate(supernet, space, images, mixtures):
    """Outputs, gradients of the weights by name, and gradients of the logits, for fixed logits."""
    logits, mixture = mixtures(space)
    scores = supernet(images, mixture)
    (scores * torch.linspace(-1, 1, scores.numel(), dtype=scores.dtype).view_as(scores)).sum().backward()
    gradients = {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad
        for name, weight in supernet.named_parameters()
    }
    return scores.detach(), gradients, {name: tensor.grad for name, tensor in logits.items()}


def near(actual, expected):
    """Equal to 1e-10 of the largest entry."""
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 1e-10 * expected.abs().max().clamp_min(1e-12)


@pytest.fixture(scope="session")
def assert_near():
    return near


@pytest.fixture(scope="session")
def twins():
    """The bundled supernet of a space, and the per-edge one with the same weights, in float64."""

    def make(space):
        torch.manual_seed(0)
        reference = space.supernet(engine="per_edge").double()
        bundled = space.supernet().double()
        bundled.load_state_dict(as_bundled(reference.state_dict(), bundled, space))
        return bundled, reference

    return make


@pytest.fixture(scope="session")
def assert_engines_agree(twins):
    """Values and all gradients of the two engines are equal in float64, for soft mixtures unless others are given."""

    def check(space, size=(8, 8), *, progress=0.0, mixtures=soft):
        bundled, reference = twins(space)
        bundled.progress = reference.progress = progress
        images = torch.randn(4, space.in_channels, *size, dtype=torch.float64)
        expected_scores, expected_weights, expected_logits = differentiate(reference, space, images, mixtures)
        scores, weights, logits = differentiate(bundled, space, images, mixtures)
        near(scores, expected_scores)
        for name, gradient in as_bundled(expected_weights, bundled, space).items():
            near(weights[name], gradient)
        for name, gradient in expected_logits.items():
            near(logits[name], gradient)

    return check
