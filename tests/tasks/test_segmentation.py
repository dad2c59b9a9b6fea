"""The loss over labelled pixels against PyTorch's, where PyTorch has one, and what happens where it has none."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.tasks import Segmentation, Task

IGNORE = 255
WEIGHTS = (0.5, 2.0, 0.0, 1.0)
WEIGHTED = pytest.mark.parametrize("weights", [None, WEIGHTS])


def scores(seed=0, dtype=torch.float64):
    return torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def masks(seed=1):
    """About a quarter of the pixels have no class."""
    drawn = torch.randint(5, (2, 3, 5), generator=torch.Generator().manual_seed(seed))
    return drawn.where(drawn < 4, torch.full_like(drawn, IGNORE))


def evaluate(outputs, labels, weights=None, **arguments):
    batch = (torch.zeros(len(labels), 3, *labels.shape[1:]), labels)
    return Segmentation(class_weights=weights, **arguments).evaluate(lambda images: outputs, batch, None)


def torchs(outputs, labels, weights):
    table = None if weights is None else torch.tensor(weights, dtype=outputs.dtype)
    return F.cross_entropy(outputs, labels, table, ignore_index=IGNORE)


@WEIGHTED
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_it_is_the_cross_entropy_of_torch(weights, seed):
    outputs, labels = scores(seed), masks(seed)
    torch.testing.assert_close(evaluate(outputs, labels, weights).loss, torchs(outputs, labels, weights))


def test_the_equation_written_out_pixel_by_pixel():
    outputs, labels = scores(), masks()
    total, norm, right, count = 0.0, 0.0, 0, 0
    for image, row, column in torch.cartesian_prod(*map(torch.arange, (2, 3, 5))).tolist():
        label, pixel = int(labels[image, row, column]), outputs[image, :, row, column]
        if label != IGNORE:
            total += WEIGHTS[label] * float(pixel.logsumexp(0) - pixel[label])
            norm += WEIGHTS[label]
            right, count = right + int(pixel.argmax() == label), count + 1
    found = evaluate(outputs, labels, WEIGHTS)
    assert found.loss.item() == pytest.approx(total / norm)
    assert found.metrics["loss"] == found.loss
    assert found.metrics["accuracy"].item() == pytest.approx(right / count)
    assert (found.examples, found.carry, found.penalty) == (2, None, None)
    assert isinstance(Segmentation(), Task)


@WEIGHTED
def test_gradients_and_gradients_of_gradients_are_those_of_torch(weights):
    """∇_s ⟨∇_s L, v⟩, as the exact second-order hypergradient wants it."""
    labels, direction = masks(), scores(2)
    found = []
    for loss in (lambda s: evaluate(s, labels, weights).loss, lambda s: torchs(s, labels, weights)):
        outputs = scores().requires_grad_()
        [first] = torch.autograd.grad(loss(outputs), outputs, create_graph=True)
        [second] = torch.autograd.grad((first * direction).sum(), outputs)
        found.append((first.detach(), second))
    torch.testing.assert_close(found[0], found[1])
    assert found[0][1].abs().max() > 0


@WEIGHTED
def test_a_batch_without_a_class_has_loss_and_gradient_zero(weights):
    outputs = scores().requires_grad_()
    found = evaluate(outputs, torch.full((2, 3, 5), IGNORE), weights)
    [gradient] = torch.autograd.grad(found.loss, outputs, create_graph=True)
    [second] = torch.autograd.grad(gradient.sum(), outputs)
    assert found.loss.item() == 0.0
    assert not gradient.any()
    assert not second.any()
    assert {name: float(value) for name, value in found.metrics.items()} == {"loss": 0.0, "accuracy": 0.0}


def test_classes_that_weigh_nothing_alone_have_loss_zero():
    found = evaluate(scores(), torch.full((2, 3, 5), 2), WEIGHTS)
    assert found.loss.item() == 0.0
    assert found.metrics["accuracy"] == (scores().argmax(dim=1) == 2).float().mean()


def test_pixels_without_a_class_do_not_matter():
    outputs, labels = scores(), masks()
    other = outputs.clone().masked_fill_((labels == IGNORE).unsqueeze(1), 7.0)
    other[:, 3].masked_fill_(labels == IGNORE, -3.0)
    assert evaluate(outputs, labels, WEIGHTS).metrics == evaluate(other, labels, WEIGHTS).metrics


def test_any_label_can_be_the_one_without_a_class():
    outputs, labels = scores(), masks()
    expected = evaluate(outputs, labels)
    for ignore in (4, 77):
        found = evaluate(outputs, labels.where(labels != IGNORE, torch.full_like(labels, ignore)), ignore=ignore)
        assert found.metrics == expected.metrics


@pytest.mark.parametrize(
    ("given", "computed"),
    [(torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)],
)
def test_the_loss_is_in_single_precision_or_better(given, computed):
    outputs, labels = scores(dtype=given), masks()
    with torch.autocast("cpu", torch.bfloat16):
        found = evaluate(outputs, labels, WEIGHTS)
    assert found.loss.dtype == computed
    torch.testing.assert_close(found.loss, torchs(outputs.to(computed), labels, WEIGHTS))


def test_the_loss_keeps_its_graph_and_the_metrics_do_not():
    found = evaluate(scores().requires_grad_(), masks())
    assert found.loss.requires_grad
    assert not any(value.requires_grad for value in found.metrics.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ignore": -1}, "ignore: must be at least 0, got -1"),
        ({"class_weights": (1.0, -0.5)}, r"class_weights\[1\]: must be at least 0, got -0.5"),
        ({"class_weights": (float("nan"),)}, r"class_weights\[0\]: must be at least 0, got nan"),
        ({"class_weights": (0.0, 0.0)}, r"class_weights: must have one above 0, got \(0.0, 0.0\)"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Segmentation(**arguments)
