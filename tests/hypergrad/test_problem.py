import torch

from archgrad.hypergrad import InnerStep
from archgrad.hypergrad.problem import detached, gradients, joint_gradients, norm


def test_inner_step_is_the_step_that_the_optimiser_would_take():
    """torch.optim.SGD, from the second step on, when its momentum buffer is there."""
    torch.manual_seed(0)
    weights = {name: torch.randn(3, dtype=torch.float64).requires_grad_() for name in "ab"}
    optimizer = torch.optim.SGD(weights.values(), lr=0.3, momentum=0.9, weight_decay=0.1)
    for step in range(3):
        buffers = {name: optimizer.state[weights[name]].get("momentum_buffer") for name in weights}
        known = {name: buffer.clone() for name, buffer in buffers.items() if buffer is not None}
        inner = InnerStep(learning_rate=0.3, momentum=0.9, weight_decay=0.1, buffers=known)
        found = {name: torch.randn(3, dtype=torch.float64) for name in weights}
        expected = inner(detached(weights), found)
        for name, weight in weights.items():
            weight.grad = found[name].clone()
        optimizer.step()
        for name, weight in weights.items():
            torch.testing.assert_close(weight.detach(), expected[name], rtol=1e-12, atol=1e-12, msg=f"step {step}")


def test_gradients_of_what_a_loss_does_not_use_are_zeros():
    used, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    tensors = {"used": used, "unused": unused}
    found = gradients((used**2).sum(), tensors)
    assert found["used"].tolist() == [2, 2]
    assert found["unused"].tolist() == [0, 0, 0]
    assert gradients(torch.tensor(1.0), tensors)["used"].tolist() == [0, 0]
    first, second = joint_gradients((used**2).sum(), {"used": used}, {"unused": unused})
    assert first["used"].tolist() == [2, 2]
    assert second["unused"].tolist() == [0, 0, 0]


def test_norm_is_that_of_all_tensors_concatenated():
    assert norm({"a": torch.tensor([3.0]), "b": torch.tensor([[4.0, 0.0]])}) == 5.0


def test_detached_makes_leaves_of_equal_values():
    source = torch.ones(2, requires_grad=True) * 2
    leaf = detached({"x": source}, requires_grad=True)["x"]
    assert leaf.is_leaf
    assert leaf.requires_grad
    assert torch.equal(leaf, source)
    assert not detached({"x": source})["x"].requires_grad
