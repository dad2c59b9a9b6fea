import torch

from archgrad.relax import Sigmoid

MASK = torch.tensor([[True, True, False], [True, False, True]])


def test_each_candidate_stands_for_itself():
    logits = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    mixture = Sigmoid()(logits, MASK)
    torch.testing.assert_close(mixture, torch.where(MASK, 1 / (1 + torch.exp(-logits)), 0.0))
    changed = logits.clone()
    changed[0, 0] += 1.0
    moved = Sigmoid()(changed, MASK) != mixture
    assert moved.tolist() == [[True, False, False], [False, False, False]]


def test_members_of_an_ensemble_are_relaxed_alike():
    logits = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(1))
    together = Sigmoid()(logits, MASK)
    assert all(torch.equal(together[member], Sigmoid()(logits[member], MASK)) for member in range(4))


def test_masked_logits_have_no_gradient():
    logits = torch.zeros(2, 3, requires_grad=True)
    Sigmoid()(logits, MASK).sum().backward()
    assert torch.equal(logits.grad, torch.where(MASK, 0.25, 0.0))
