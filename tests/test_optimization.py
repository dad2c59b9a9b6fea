"""The pieces of a weight step."""

import pytest
import torch
from torch import nn

from archgrad.loop import Diverged
from archgrad.optimization import clip_members, descend, require_finite, restore, set_rate


def test_descend_is_a_clipped_gradient_step():
    network = nn.Linear(2, 1, bias=False)
    before = network.weight.detach().clone()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    slope = torch.tensor([[3.0, 4.0]])
    descend(optimizer, (network.weight * slope).sum(), network=network, gradient_clip=1.0, step=0)
    torch.testing.assert_close(network.weight.detach(), before - 0.5 * slope / 5)
    descend(optimizer, (network.weight * slope).sum(), network=network, gradient_clip=100.0, step=1)
    torch.testing.assert_close(network.weight.detach(), before - 0.5 * slope / 5 - 0.5 * slope)


def test_a_gradient_that_is_not_finite_leaves_the_weights_alone():
    network = nn.Linear(2, 1, bias=False)
    before = network.weight.detach().clone()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    with pytest.raises(Diverged, match="gradient of the training loss is not finite at step 3"):
        descend(optimizer, (network.weight - before).abs().sqrt().sum(), network=network, gradient_clip=1.0, step=2)
    assert torch.equal(network.weight, before)


def ensemble_of(members=3):
    """Parameters [members, 2] and [members], and a loss whose gradient is given."""

    class Ensemble(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.zeros(members, 2))
            self.b = nn.Parameter(torch.zeros(members))

    return Ensemble()


SLOPES_A = torch.tensor([[3.0, 0.0], [0.1, 0.2], [30.0, 40.0]])
SLOPES_B = torch.tensor([4.0, 0.2, 0.0])


def test_members_are_clipped_by_their_own_norms():
    """Norms 5, 0.3 and 50, the limit 1."""
    network = ensemble_of()
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    loss = (network.a * SLOPES_A).sum() + (network.b * SLOPES_B).sum()
    descend(optimizer, loss, network=network, gradient_clip=1.0, step=0, ensemble=True)
    scale = torch.tensor([1 / 5, 1.0, 1 / 50])
    torch.testing.assert_close(-network.a.detach(), SLOPES_A * scale[:, None])
    torch.testing.assert_close(-network.b.detach(), SLOPES_B * scale)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_member_without_a_finite_norm_gets_no_gradient(value):
    gradients = [SLOPES_A.clone(), SLOPES_B.clone()]
    gradients[0][2, 0] = value
    norm = clip_members([*gradients, None])
    torch.testing.assert_close(norm, torch.tensor(5.0))
    torch.testing.assert_close(gradients[0], SLOPES_A * torch.tensor([[1.0], [1.0], [0.0]]))
    torch.testing.assert_close(gradients[1], SLOPES_B * torch.tensor([1.0, 1.0, 0.0]))


def test_if_no_member_has_a_finite_gradient_the_weights_stay():
    assert not clip_members([SLOPES_A * torch.inf]).isfinite()
    network = ensemble_of()
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    loss = network.a.abs().sqrt().sum() + network.b.sum()
    with pytest.raises(Diverged, match="gradient of the training loss is not finite at step 8"):
        descend(optimizer, loss, network=network, gradient_clip=1.0, step=7, ensemble=True)
    assert not network.a.any()
    assert not network.b.any()


def test_set_rate_reaches_all_groups():
    one, two = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([{"params": [one]}, {"params": [two], "lr": 3.0}], lr=1.0)
    set_rate(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]


def test_restore_gives_tensors_the_memory_format_of_their_parameters():
    network = nn.Conv2d(4, 4, 3).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    descend(optimizer, network(torch.randn(1, 4, 5, 5)).sum(), network=network, gradient_clip=5, step=0)
    saved = optimizer.state_dict()
    flat = {
        **saved,
        "state": {
            key: {name: value.contiguous() for name, value in entry.items()} for key, entry in saved["state"].items()
        },
    }
    other = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    restore(other, flat)
    buffer = other.state[network.weight]["momentum_buffer"]
    assert buffer.stride() == network.weight.stride()
    assert torch.equal(buffer, optimizer.state[network.weight]["momentum_buffer"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_named_with_its_step(value):
    require_finite(torch.tensor([1.0]), "loss", step=0)
    with pytest.raises(Diverged, match=r"the loss is not finite at step 5\. Try a lower learning rate"):
        require_finite(torch.tensor([1.0, value]), "loss", step=4)
