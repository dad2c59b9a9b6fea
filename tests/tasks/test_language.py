"""The task of language models against its sums written out."""

import math

import pytest
import torch

from archgrad.tasks import LanguageModelling, LanguageOutput, RateScaling, Task

DRAWS = torch.Generator().manual_seed(0)
SCORES = torch.randn(3, 2, 4, generator=DRAWS)
OUTPUTS = torch.randn(3, 2, 5, generator=DRAWS)
DROPPED = torch.randn(3, 2, 5, generator=DRAWS)
HIDDEN = torch.randn(2, 5, generator=DRAWS)
TOKENS = torch.tensor([[0, 1], [2, 3], [1, 1]])
TARGETS = torch.tensor([[2, 3], [1, 1], [0, 2]])


def evaluate(carry=None, *, outputs=OUTPUTS, **options):
    """Evaluate the same output whatever is asked; return the evaluation and what the network was asked."""
    asked = []

    def forward(inputs):
        asked.append(inputs)
        return LanguageOutput(SCORES, HIDDEN, outputs, DROPPED)

    return LanguageModelling(**options).evaluate(forward, (TOKENS, TARGETS), carry), asked


def test_the_loss_is_the_mean_surprisal_in_nats_per_token():
    evaluation, _ = evaluate(slowness=0.0)
    total = 0.0
    for row in range(3):
        for column in range(2):
            scores = SCORES[row, column].tolist()
            total += math.log(sum(map(math.exp, scores))) - scores[TARGETS[row, column]]
    assert evaluation.loss.item() == pytest.approx(total / 6, rel=1e-6)
    assert evaluation.metrics == {"loss": evaluation.loss}
    assert evaluation.examples == 6
    assert isinstance(LanguageModelling(), Task)
    assert isinstance(LanguageModelling(), RateScaling)


def test_the_penalties_are_means_beside_the_loss():
    """Slowness is of the outputs before dropout, activation of those after it."""
    bare, _ = evaluate(slowness=0.0)
    assert bare.penalty is None
    changes = [(OUTPUTS[t] - OUTPUTS[t - 1]).square().sum().item() for t in (1, 2)]
    slow, active = sum(changes) / 20, DROPPED.square().sum().item() / 30
    for slowness, activation in ((0.3, 0.0), (0.0, 0.2), (0.3, 0.2)):
        evaluation, _ = evaluate(slowness=slowness, activation=activation)
        assert evaluation.penalty.item() == pytest.approx(slowness * slow + activation * active, rel=1e-5)
        assert torch.equal(evaluation.loss, bare.loss)
    default, _ = evaluate()
    assert default.penalty.item() == pytest.approx(1e-3 * slow, rel=1e-5)


def test_a_single_token_does_not_change():
    """There is nothing that the outputs could differ from; a mean over nothing would be NaN."""
    evaluation, _ = evaluate(outputs=OUTPUTS[:1], slowness=0.3)
    assert evaluation.penalty is None
    evaluation, _ = evaluate(outputs=OUTPUTS[:1], slowness=0.3, activation=0.2)
    assert evaluation.penalty.isfinite()


def test_what_is_carried_comes_in_and_goes_out_without_a_graph():
    carry = torch.ones(2, 5)
    evaluation, asked = evaluate(carry)
    [(tokens, hidden)] = asked
    assert torch.equal(tokens, TOKENS)
    assert hidden is carry
    weight = torch.ones(5, requires_grad=True)

    def forward(inputs):
        return LanguageOutput(SCORES * weight[0], HIDDEN * weight, OUTPUTS * weight, DROPPED * weight)

    evaluation = LanguageModelling(activation=0.1).evaluate(forward, (TOKENS, TARGETS), None)
    assert torch.equal(evaluation.carry, HIDDEN)
    assert not evaluation.carry.requires_grad
    assert not evaluation.metrics["loss"].requires_grad
    assert evaluation.loss.requires_grad
    assert evaluation.penalty.requires_grad


def test_scores_in_half_precision_are_compared_in_single_and_double_stays_double():
    for scores, wanted in (
        (SCORES.bfloat16(), torch.float32),
        (SCORES, torch.float32),
        (SCORES.double(), torch.float64),
    ):
        output = LanguageOutput(scores, HIDDEN, OUTPUTS, DROPPED)
        evaluation = LanguageModelling().evaluate(lambda inputs, output=output: output, (TOKENS, TARGETS), None)
        expected = torch.nn.functional.cross_entropy(scores.to(wanted).flatten(0, 1), TARGETS.flatten())
        assert evaluation.loss.dtype == wanted
        assert torch.equal(evaluation.loss, expected)


def test_the_rate_is_that_of_the_length():
    for length, expected in ((None, 1.0), (3, 1.0), (6, 0.5), (2, 1.5)):
        assert LanguageModelling(sequence_length=length).rate_factor((TOKENS, TARGETS)) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slowness": -1e-3}, r"slowness: must be at least 0, got -0\.001"),
        ({"activation": -1.0}, r"activation: must be at least 0, got -1"),
        ({"slowness": math.nan}, r"slowness: must be at least 0, got nan"),
        ({"sequence_length": 0}, r"sequence_length: must be at least 1, got 0"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        LanguageModelling(**options)
