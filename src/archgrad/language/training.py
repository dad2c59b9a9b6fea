"""`train`: a recurrent language model from scratch by a recipe, with gradient descent that averages its weights.

Plain SGD at a high and constant learning rate goes downhill quickly and then circles around the minimum. From when the
validation loss no longer falls, the mean of all weights since then is evaluated in place of the last ones: averaged SGD
with a non-monotonic trigger (arXiv:1708.02182). Such a learning rate is at the edge of what is stable; a training that
goes over it returns to its best weights and goes on with the next batch.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from archgrad.data.stream import Batch
from archgrad.data.text import FIXED, TRAIN_LENGTHS, Corpus, TextStream
from archgrad.data.text.stream import digest
from archgrad.devices import autocast, preserved_randomness, resolve_device
from archgrad.identity import identify
from archgrad.language.evaluation import Perplexity, evaluate, size_of
from archgrad.language.memory import estimate_bytes, require_memory
from archgrad.loop import Callback, Diverged, Loop, Progress, Record, check_callbacks, run
from archgrad.ops.dropout import Dropout
from archgrad.optimization import descend, restore, set_rate
from archgrad.recipes import LanguageRecipe
from archgrad.seeding import derive
from archgrad.tasks import LanguageModelling
from archgrad.training import count_parameters


@dataclass
class LanguageState:
    """All that a training has learnt.

    `carry` is the hidden state that the next batch starts from, `average` the running mean of the weights once there is
    one. `best` are the weights of the lowest validation loss `best_loss`, before the first validation the initial ones.
    `failures` counts the returns to them since then, `recoveries` those of the running epoch.
    """

    network: nn.Module
    optimizer: torch.optim.SGD
    best: dict[str, Tensor]
    progress: Progress = field(default_factory=Progress)
    carry: Tensor | None = None
    average: AveragedModel | None = None
    best_loss: float = math.inf
    failures: int = 0
    recoveries: int = 0

    @property
    def evaluated(self) -> nn.Module:
        """The network that validation sees: the averaged weights once there are some."""
        return self.network if self.average is None else self.average.module

    def start_average(self) -> None:
        """Begin the running mean anew, with the present weights as its first term."""
        self.average = AveragedModel(self.network)
        self.average.update_parameters(self.network)

    def state_dict(self) -> dict[str, Any]:
        """Everything that is needed to go on exactly here, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "progress": asdict(self.progress),
            "carry": self.carry,
            "average": None if self.average is None else self.average.state_dict(),
            "best_loss": self.best_loss,
            "failures": self.failures,
            "recoveries": self.recoveries,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go back to what `state_dict` returned."""
        self.network.load_state_dict(saved["network"])
        restore(self.optimizer, saved["optimizer"])
        where = next(self.network.parameters()).device
        self.best = {name: tensor.to(where, copy=True) for name, tensor in saved["best"].items()}
        self.progress.load(saved["progress"])
        self.carry = None if saved["carry"] is None else saved["carry"].to(where, copy=True)
        self.average = None
        if saved["average"] is not None:
            self.average = AveragedModel(self.network)
            self.average.load_state_dict(saved["average"])
        for name in ("best_loss", "failures", "recoveries"):
            setattr(self, name, saved[name])


@dataclass(frozen=True)
class LanguageScore:
    """What a training came to: that of the weights of the lowest validation loss, which `network` has, evaluated.

    `averaged_from` is the first epoch (counted from 1) whose validation was of averaged weights, None without one.
    """

    validation: Perplexity
    test: Perplexity
    parameters: int
    seconds: float
    averaged_from: int | None
    history: list[Record] = field(repr=False)
    network: nn.Module = field(repr=False)


def train(
    network: nn.Module,
    *,
    corpus: Corpus,
    recipe: LanguageRecipe,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    device: str | torch.device = "auto",
) -> LanguageScore:
    """Train a language model from its present weights by a recipe; evaluate its best weights on validation and test.

    `network` has the attributes `vocabulary_size`, `hidden_size`, and `dropout`, which the recipe's replaces; called
    with (tokens [time, batch], hidden or None) it returns a `LanguageOutput`. After each epoch the validation text is
    evaluated; the weights of the lowest loss are what is returned. `seed` fixes the lengths of the sequences and the
    dropout; initialise the network under a seed of your own. On the CPU equal seeds give equal trainings bit for bit,
    also when stopped and resumed.

    Records hold, by epoch: `train_loss`, `validation_loss` (nats per token), `learning_rate`, whether the validation
    was of averaged weights (`averaging`), and how often the training went back to its best ones (`recoveries`).

    Raises:
        ValueError: before any work, for a text that does not fit the network or is too short for the batch size, or a
            step that would take more memory than there is.
        Diverged: the loss was not finite more often than `recipe.recoveries` allows.
    """
    check_callbacks(callbacks)
    if not isinstance(recipe, LanguageRecipe):
        raise ValueError(f"recipe: must be a LanguageRecipe such as archgrad.recipes.penn_treebank(), got {recipe!r}.")
    where = resolve_device(device)
    lengths = TRAIN_LENGTHS if recipe.vary_length else FIXED
    _, longest = lengths.bounds(recipe.sequence_length)
    _check_corpus(network, corpus, recipe)
    estimate = estimate_bytes(
        parameters=count_parameters(network),
        vocabulary_size=size_of(network, "vocabulary_size"),
        hidden_size=size_of(network, "hidden_size"),
        batch_size=recipe.batch_size,
        sequence_length=min(longest, len(corpus.train) // recipe.batch_size),
    )
    require_memory(estimate, where)
    stream = TextStream(
        corpus.train,
        batch_size=recipe.batch_size,
        sequence_length=recipe.sequence_length,
        seed=seed,
        purpose="train",
        lengths=lengths,
        device=where,
    )
    return _train(network, stream, corpus=corpus, recipe=recipe, seed=seed, callbacks=callbacks, device=where)


def _train(
    network: nn.Module,
    stream: TextStream,
    *,
    corpus: Corpus,
    recipe: LanguageRecipe,
    seed: int,
    callbacks: Sequence[Callback],
    device: torch.device,
) -> LanguageScore:
    trainer = LanguageTrainer(recipe, seed=seed, device=device)
    state = trainer.init(network)
    asked = {"recipe": recipe, "network": type(network), "parameters": count_parameters(network)}
    # A vocabulary of the same size can have other tokens; the validation text decides which weights are the best.
    data = {"vocabulary": corpus.vocabulary.digest, "validation": digest(corpus.validation)}
    identity = identify({**asked, **data, "train": stream.identity})
    loop = Loop("train", state, recipe.epochs, stream.batches_per_epoch, identity)
    # Dropout draws from torch's own generators, which are given back to the caller as they were.
    with preserved_randomness(device):
        for callback in callbacks:
            callback.on_start(loop)
        batches: Iterator[Batch] = stream.batches(state.progress.step)
        run(
            loop,
            lambda: trainer.step(state, next(batches))[1],
            describe_epoch=lambda: trainer.describe_epoch(state, corpus.validation),
            should_stop=lambda history: False,
            callbacks=callbacks,
        )
    network.load_state_dict(state.best)
    history = state.progress.history
    return LanguageScore(
        validation=trainer.evaluate(network, corpus.validation),
        test=trainer.evaluate(network, corpus.test),
        parameters=count_parameters(network),
        seconds=state.progress.seconds,
        averaged_from=next((record["epoch"] for record in history if record["averaging"]), None),
        history=history,
        network=network.eval(),
    )


class LanguageTrainer:
    """One step of a recipe at a time; `train` is the loop around it."""

    def __init__(self, recipe: LanguageRecipe, *, seed: int = 0, device: str | torch.device = "auto") -> None:
        self.recipe = recipe
        self.seed = seed
        self.device = resolve_device(device)
        self.task = LanguageModelling(
            slowness=recipe.slowness, activation=recipe.activation, sequence_length=recipe.sequence_length
        )

    def init(self, network: nn.Module) -> LanguageState:
        """Move the network to the device, give it the recipe's dropout and make its optimiser; its weights stay.

        Raises:
            ValueError: the network has no dropout that could be replaced.
        """
        if not isinstance(getattr(network, "dropout", None), Dropout):
            raise ValueError(
                f"network: must have an attribute dropout, of type Dropout; got a {type(network).__name__}."
            )
        network = network.to(self.device)
        setattr(network, "dropout", self.recipe.dropout)  # noqa: B010  modules are typed as if all were tensors
        optimizer = torch.optim.SGD(
            network.parameters(), lr=self.recipe.learning_rate, weight_decay=self.recipe.weight_decay
        )
        return LanguageState(network, optimizer, _copy(network))

    def step(self, state: LanguageState, batch: Batch) -> tuple[LanguageState, dict[str, float]]:
        """Take one step w ← w − η (ℓ / L) clip(∇_w (loss + penalty)) on a batch of length ℓ; change `state` in place.

        η is `learning_rate` and L `sequence_length` of the recipe: a longer sequence counts for more. The state comes
        back with `train_loss`. Where loss or gradient are not finite, it goes back to the best weights and an empty
        hidden state, and there are no metrics.

        torch.optim.ASGD, as the public code uses it, applies a batch's factor to the next one; here it is its own.

        Raises:
            Diverged: not finite, and there have been `recoveries` returns since the last improvement.
        """
        recipe, progress = self.recipe, state.progress
        set_rate(state.optimizer, recipe.learning_rate * self.task.rate_factor(batch))
        torch.manual_seed(derive(self.seed, "network", progress.step))
        network = state.network.train()
        with autocast(self.device, recipe.precision):
            evaluation = self.task.evaluate(lambda inputs: network(*inputs), batch, state.carry)
        try:
            descend(
                state.optimizer,
                evaluation.penalised,
                network=network,
                gradient_clip=recipe.gradient_clip,
                step=progress.step,
            )
        except Diverged as error:
            self._recover(state, error)
            progress.step += 1
            return state, {}
        state.carry = evaluation.carry
        if state.average is not None:
            state.average.update_parameters(network)
        metrics = {f"train_{name}": float(value) for name, value in evaluation.metrics.items()}
        progress.add(metrics, evaluation.examples)
        progress.step += 1
        return state, metrics

    def describe_epoch(self, state: LanguageState, validation: Tensor) -> Record:
        """Validate, keep the weights if they are the best so far, and begin to average where it is time.

        Return what the record of the epoch that has just ended holds beside the means over its steps.
        """
        averaging = state.average is not None
        loss = self.evaluate(state.evaluated, validation).loss
        if loss < state.best_loss:
            state.best, state.best_loss, state.failures = _copy(state.evaluated), loss, 0
        earlier = [record["validation_loss"] for record in state.progress.history]
        if not averaging and averaging_begins(earlier, loss, patience=self.recipe.averaging_patience):
            state.start_average()
        recoveries, state.recoveries = state.recoveries, 0
        return {
            "validation_loss": loss,
            "learning_rate": self.recipe.learning_rate,
            "averaging": averaging,
            "recoveries": recoveries,
        }

    def evaluate(self, network: nn.Module, tokens: Tensor) -> Perplexity:
        """Evaluate as the recipe says."""
        return evaluate(
            network,
            tokens,
            batch_size=self.recipe.evaluation_batch_size,
            sequence_length=self.recipe.sequence_length,
            device=self.device,
        )

    def _recover(self, state: LanguageState, error: Diverged) -> None:
        """Go back to the best weights; the mean starts again there."""
        if state.failures >= self.recipe.recoveries:
            raise Diverged(
                f"{error} The training has returned to its best weights {state.failures} times since the validation "
                f"loss last improved, as often as recoveries={self.recipe.recoveries} allows."
            ) from error
        state.failures += 1
        state.recoveries += 1
        state.network.load_state_dict(state.best)
        state.carry = None
        if state.average is not None:
            state.start_average()


def averaging_begins(earlier: Sequence[float], loss: float, *, patience: int) -> bool:
    """Whether `loss` is above the lowest of the `earlier` validation losses but the last `patience` of them.

    This is the non-monotonic trigger of arXiv:1708.02182, Algorithm 1, with n = `patience`; 0 triggers at the first
    loss above the lowest. Losses that are not finite neither trigger nor count.

    >>> averaging_begins([3.0, 2.0, 2.5], 2.2, patience=2), averaging_begins([3.0, 2.0, 2.5], 2.2, patience=1)
    (False, True)
    """
    before = [value for value in earlier[: max(0, len(earlier) - patience)] if math.isfinite(value)]
    return bool(before) and math.isfinite(loss) and loss > min(before)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _check_corpus(network: nn.Module, corpus: Corpus, recipe: LanguageRecipe) -> None:
    """Raise a ValueError unless the network knows the corpus' tokens and every part has a row of batches."""
    size = size_of(network, "vocabulary_size")
    if len(corpus.vocabulary) != size:
        raise ValueError(
            f"corpus: its vocabulary has {len(corpus.vocabulary)} tokens, but vocabulary_size of the network is "
            f"{size}; both must be equal."
        )
    parts = {
        "train": (corpus.train, "batch_size", recipe.batch_size),
        "validation": (corpus.validation, "evaluation_batch_size", recipe.evaluation_batch_size),
        "test": (corpus.test, "evaluation_batch_size", recipe.evaluation_batch_size),
    }
    for name, (tokens, argument, size) in parts.items():
        if len(tokens) < 2 * size:
            raise ValueError(
                f"corpus: {name} has {len(tokens)} tokens; {argument} {size} needs at least {2 * size}, an input and a "
                f"target in every row of the batch. Give a longer text or lower {argument}."
            )
