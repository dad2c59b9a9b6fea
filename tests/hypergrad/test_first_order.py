import torch

from archgrad.hypergrad import FirstOrder, InnerStep, Losses


def test_gradient_of_the_validation_loss_at_the_present_weights(quadratic):
    losses = Losses(quadratic.train, quadratic.validation)
    found = FirstOrder()(losses, quadratic.weights, quadratic.logits, inner=InnerStep(learning_rate=0.5))
    assert found["x"].shape == (1, 1)
    assert found["y"].shape == (1, 2)
    joined = torch.cat([found["x"][0], found["y"][0]])
    torch.testing.assert_close(joined, quadratic.closed_form(rate=0.0), rtol=1e-12, atol=1e-12)


def test_neither_the_training_loss_nor_a_gradient_of_the_weights_is_computed(quadratic):
    def refused(weights, logits):
        raise AssertionError("the training loss was evaluated")

    def validation(weights, logits):
        assert not any(weight.requires_grad for weight in weights.values())
        return quadratic.validation(weights, logits)

    FirstOrder()(Losses(refused, validation), quadratic.weights, quadratic.logits, inner=InnerStep(learning_rate=0.5))
    assert all(weight.grad is None for weight in quadratic.weights.values())


def test_unused_logits_get_zeros(curved):
    losses = Losses(curved.train, curved.validation)
    found = FirstOrder()(losses, curved.weights, curved.logits, inner=InnerStep(learning_rate=0.1))
    assert found["x"].abs().min() > 0
    assert torch.equal(found["unused"], torch.zeros(2, 2, dtype=torch.float64))


def test_validation_loss_without_logits_gives_zeros(quadratic):
    losses = Losses(quadratic.train, lambda weights, logits: weights["first"].sum())
    found = FirstOrder()(losses, quadratic.weights, quadratic.logits, inner=InnerStep(learning_rate=0.1))
    assert all(not gradient.any() for gradient in found.values())
