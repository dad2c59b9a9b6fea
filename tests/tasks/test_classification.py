import pytest
import torch

from archgrad.tasks import Classification, Task

BATCH = (torch.zeros(4, 1, 2, 2), torch.tensor([0, 1, 2, 0]))


def scores(seed):
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))


def cross_entropy(outputs, smoothing=0.0):
    target = (1 - smoothing) * torch.nn.functional.one_hot(BATCH[1], 3) + smoothing / 3
    return -(target * outputs.log_softmax(dim=1)).sum(dim=1).mean()


def test_loss_and_accuracy():
    outputs = scores(0)
    evaluation = Classification().evaluate(lambda images: outputs, BATCH, None)
    torch.testing.assert_close(evaluation.loss, cross_entropy(outputs))
    assert evaluation.metrics["accuracy"] == (outputs.argmax(dim=1) == BATCH[1]).float().mean()
    assert (evaluation.examples, evaluation.carry) == (4, None)
    assert isinstance(Classification(), Task)


def test_label_smoothing_and_auxiliary_scores():
    outputs, auxiliary = scores(0), scores(1)
    task = Classification(label_smoothing=0.3, auxiliary_weight=0.7)
    evaluation = task.evaluate(lambda images: (outputs, auxiliary), BATCH, None)
    expected = cross_entropy(outputs, 0.3) + 0.7 * cross_entropy(auxiliary, 0.3)
    torch.testing.assert_close(evaluation.loss, expected)
    alone = task.evaluate(lambda images: outputs, BATCH, None)
    assert evaluation.metrics["accuracy"] == alone.metrics["accuracy"]


def test_the_loss_keeps_its_graph_and_the_metrics_do_not():
    outputs = scores(0).requires_grad_()
    evaluation = Classification().evaluate(lambda images: outputs, BATCH, None)
    assert evaluation.loss.requires_grad
    assert not any(value.requires_grad for value in evaluation.metrics.values())


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"label_smoothing: must lie in \[0, 1\], got 1.5"):
        Classification(label_smoothing=1.5)
    with pytest.raises(ValueError, match=r"auxiliary_weight: must be at least 0, got -1"):
        Classification(auxiliary_weight=-1)
