"""Eq. 4, the bilevel search: min_α L_val(w*(α), α) subject to w*(α) = argmin_w L_train(w, α).

One iteration takes an architecture step, then a weight step with the updated logits (arXiv:1806.09055, Algorithm 1):

    α ← α − Adam(∇_α of the bilevel objective on a validation batch)
    w ← w − SGD(∇_w L_train(w, α) on a training batch, clipped)

`search` is the whole of it; `Searcher` has `init`, `step` and `run` for loops of one's own.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils.data import Dataset

from archgrad.arch import Logits, Mixture
from archgrad.autodiff import mixed_derivatives_wanted
from archgrad.checks import at_least
from archgrad.data.describe import check_classes, image_shape
from archgrad.data.images import ImageData, as_images
from archgrad.data.split import halve
from archgrad.data.stream import Batch, Batches, Stream
from archgrad.devices import autocast, preserved_randomness, resolve_device
from archgrad.genotype import Genotype
from archgrad.hypergrad import InnerStep, Losses, Weights
from archgrad.identity import identify
from archgrad.loop import Callback, Loop, Progress, Record, check_callbacks, out_of_patience, run
from archgrad.methods import Method, by_name, darts
from archgrad.optimization import clip_members, descend, require_finite, set_rate
from archgrad.relax import Sampled
from archgrad.schedule import cosine
from archgrad.seeding import derive, generator
from archgrad.settings import BilevelSettings, SearchSettings, changed
from archgrad.spaces.space import ImageSpace, Space
from archgrad.state import SearchState
from archgrad.tasks import Classification, Evaluation, RateScaling, Task


@dataclass(frozen=True)
class SearchResult:
    """What a search found: the genotype, the logits and their mixture, a record per epoch, and the final state."""

    genotype: Genotype
    seconds: float
    logits: Logits = field(repr=False)
    mixture: Mixture = field(repr=False)
    history: list[Record] = field(repr=False)
    state: SearchState = field(repr=False)


class Searcher:
    """The alternating optimisation of Eq. 4 on a space, for a task, by a method.

    `steps_per_epoch` gives the learning rate and the warm-up their scale. The searcher holds no state of the search.

        searcher = Searcher(space, steps_per_epoch=100)
        state = searcher.init(seed=0)
        state, info = searcher.step(state, train_batch, validation_batch)

    Reference: arXiv:1806.09055, Algorithm 1.

    Raises:
        ValueError: `steps_per_epoch` is below 1, or the device is not there.
    """

    def __init__(
        self,
        space: Space,
        *,
        steps_per_epoch: int,
        method: Method | str | None = None,
        settings: BilevelSettings | None = None,
        task: Task | None = None,
        device: str | torch.device = "auto",
    ) -> None:
        at_least("steps_per_epoch", steps_per_epoch, 1)
        self.space = space
        self.steps_per_epoch = steps_per_epoch
        self.method = darts() if method is None else by_name(method) if isinstance(method, str) else method
        self.settings = SearchSettings() if settings is None else settings
        self.task = Classification() if task is None else task
        self.device = resolve_device(device)
        self._masks = {group.name: group.mask_tensor(self.device) for group in space.groups}

    def init(self, seed: int) -> SearchState:
        """Draw w and α from the seed; nothing else of a search is random but its batches."""
        settings = self.settings
        with preserved_randomness(torch.device("cpu")):  # where the weights are drawn
            torch.default_generator.manual_seed(derive(seed, "weights"))
            supernet = self.space.supernet().to(self.device)
        normal = generator(seed, "logits")
        logits = {
            group.name: (settings.logits_scale * torch.randn(*self.space.ensemble, *group.shape, generator=normal)).to(
                self.device
            )
            for group in self.space.groups
        }
        return SearchState(
            supernet=supernet,
            logits=logits,
            weight_optimizer=torch.optim.SGD(
                supernet.parameters(),
                lr=settings.learning_rate,
                momentum=settings.momentum,
                weight_decay=settings.weight_decay,
            ),
            logit_optimizer=torch.optim.Adam(
                list(logits.values()),
                lr=settings.logits_learning_rate,
                betas=settings.logits_betas,
                weight_decay=settings.logits_weight_decay,
            ),
            carries={"train": None, "validation": None},
            progress=Progress(),
            seed=seed,
        )

    def step(
        self, state: SearchState, train_batch: Batch, validation_batch: Batch | None
    ) -> tuple[SearchState, dict[str, float]]:
        """Take an architecture step, then a weight step; change `state` in place and return it with the metrics.

        The metrics are `train_loss`, `train_accuracy`, … at (w, α) of the weight step and, once the warm-up is over,
        `validation_loss`, … where the hypergradient took them: at w, or at w' for the second order. During the warm-up
        `validation_batch` may be None. Where the settings ask for several updates, all are on the same batches, with
        the metrics of the last one.

        Raises:
            Diverged: a loss or the hypergradient is not finite (of an ensemble, that of all members); the step's number
                is in the message.
            ValueError: `validation_batch` is None although the warm-up is over.
        """
        settings, progress = self.settings, state.progress
        epoch = progress.step // self.steps_per_epoch
        rate = cosine(settings.learning_rate, settings.final_learning_rate, epoch=epoch, epochs=settings.epochs)
        if isinstance(self.task, RateScaling):
            rate *= self.task.rate_factor(train_batch)
        set_rate(state.weight_optimizer, rate)
        info: dict[str, float] = {}
        carries = dict(state.carries)  # all updates see those that the step began with
        if epoch >= settings.warmup_epochs and settings.logit_updates:
            if validation_batch is None:
                raise ValueError("validation_batch: is None, which is allowed during the warm-up only.")
            for _ in range(settings.logit_updates):
                evaluation = self._architecture_step(state, train_batch, validation_batch, rate)
                info |= self._report(state, "validation", evaluation)
                carries["validation"] = evaluation.carry
        for _ in range(settings.weight_updates):
            evaluation = self._weight_step(state, train_batch)
            info |= self._report(state, "train", evaluation)
            carries["train"] = evaluation.carry
        state.carries = carries
        progress.step += 1
        return state, info

    def mixture(self, state: SearchState) -> Mixture:
        """p = relax(α) of the state, without a graph."""
        return {name: weights.detach() for name, weights in self._relax(state.logits).items()}

    def decode(self, state: SearchState) -> Genotype:
        """The genotype that the state's mixture decodes to now."""
        return self.space.decode(self.mixture(state), self.method.decoder)

    def run(
        self,
        state: SearchState,
        train: Batches,
        validation: Batches,
        *,
        callbacks: Sequence[Callback] = (),
    ) -> SearchResult:
        """Search until the settings' epochs are done, from wherever the state is.

        Raises:
            Diverged: see `step`.
            KeyboardInterrupt: after Ctrl-C, once the running step is whole and the callbacks have been told.
        """
        check_callbacks(callbacks)
        asked = {"space": self.space, "method": self.method, "settings": self.settings, "task": self.task}
        identity = identify({**asked, "train": train.identity, "validation": validation.identity})
        loop = Loop("search", state, self.settings.epochs, self.steps_per_epoch, identity, lambda: self.decode(state))
        for callback in callbacks:
            callback.on_start(loop)
        batches = self._batches(state, train, validation)
        run(
            loop,
            lambda: self.step(state, *next(batches))[1],
            describe_epoch=lambda: self._describe_epoch(state),
            should_stop=lambda history: out_of_patience(
                history, metric="validation_loss", patience=self.settings.patience
            ),
            callbacks=callbacks,
        )
        return SearchResult(
            genotype=self.decode(state),
            logits={name: tensor.detach() for name, tensor in state.logits.items()},
            mixture=self.mixture(state),
            history=state.progress.history,
            state=state,
            seconds=state.progress.seconds,
        )

    def _batches(self, state: SearchState, train: Batches, validation: Batches) -> Iterator[tuple[Batch, Batch | None]]:
        """Pairs of batches from the state's step on; the validation stream starts when the warm-up ends."""
        warmup = self.settings.warmup_epochs * self.steps_per_epoch
        start = state.progress.step
        validating = validation.batches(max(0, start - warmup))
        for step, batch in enumerate(train.batches(start), start):
            yield batch, None if step < warmup else next(validating)

    def _relax(self, logits: Logits, state: SearchState | None = None) -> Mixture:
        """p = relax(α), with the noise of the state's step where the relaxation draws any; without a state, none."""
        mixture: Mixture = {}
        for name, tensor in logits.items():
            relaxation = self.method.relaxation
            if state is not None and isinstance(relaxation, Sampled):
                relaxation = relaxation.at(derive(state.seed, "relaxation", name, state.progress.step))
            mixture[name] = relaxation(tensor, self._masks[name])
        return mixture

    def _evaluate(
        self, state: SearchState, weights: Weights, mixture: Mixture, *, part: str, batch: Batch
    ) -> Evaluation:
        """The loss of a part's batch at any (w, p)."""

        def forward(inputs: Any) -> Any:
            return functional_call(state.supernet, weights, (inputs, mixture))

        # The product with the second derivative is small beside bfloat16's rounding.
        precision = "float32" if mixed_derivatives_wanted() else self.settings.precision
        with autocast(self.device, precision), self._seeded(state, part):
            return self.task.evaluate(forward, batch, state.carries[part])

    @contextmanager
    def _seeded(self, state: SearchState, part: str) -> Iterator[None]:
        """Random layers draw the same in all evaluations of a batch, and torch's own generators stay as they were."""
        with preserved_randomness(self.device):
            torch.manual_seed(derive(state.seed, "layers", part, state.progress.step))
            yield

    def _architecture_step(
        self, state: SearchState, train_batch: Batch, validation_batch: Batch, rate: float
    ) -> Evaluation:
        evaluations: list[Evaluation] = []

        def train_loss(weights: Weights, logits: Logits) -> Tensor:
            mixture = self._relax(logits, state)
            return self._evaluate(state, weights, mixture, part="train", batch=train_batch).loss

        def validation_loss(weights: Weights, logits: Logits) -> Tensor:
            mixture = self._relax(logits, state)
            evaluations.append(self._evaluate(state, weights, mixture, part="validation", batch=validation_batch))
            penalties = (penalty(mixture, self.space.groups) for penalty in self.method.penalties)
            return sum(penalties, evaluations[-1].loss)

        parameters: Weights = dict(state.supernet.named_parameters())
        momenta = state.weight_optimizer.state
        inner = InnerStep(
            learning_rate=rate,
            momentum=self.settings.momentum,
            weight_decay=self.settings.weight_decay,
            gradient_clip=self.settings.unrolled_clip,
            buffers={
                name: buffer
                for name, parameter in parameters.items()
                if (buffer := momenta[parameter].get("momentum_buffer")) is not None
            },
        )
        hypergradient = self.method.hypergradient(
            Losses(train_loss, validation_loss), parameters, state.logits, inner=inner
        )
        require_finite(evaluations[-1].loss, "validation loss", step=state.progress.step)
        if self.space.ensemble:
            norm = clip_members(hypergradient.values())
            require_finite(norm, "hypergradient of all members", step=state.progress.step)
        for name, tensor in state.logits.items():
            require_finite(hypergradient[name], f"hypergradient of {name!r}", step=state.progress.step)
            tensor.grad = hypergradient[name]
        state.logit_optimizer.step()
        return evaluations[-1]

    def _weight_step(self, state: SearchState, batch: Batch) -> Evaluation:
        with torch.no_grad():
            mixture = self._relax(state.logits, state)
        with autocast(self.device, self.settings.precision), self._seeded(state, "train"):
            evaluation = self.task.evaluate(
                lambda inputs: state.supernet(inputs, mixture), batch, state.carries["train"]
            )
        descend(
            state.weight_optimizer,
            evaluation.penalised,
            network=state.supernet,
            gradient_clip=self.settings.gradient_clip,
            step=state.progress.step,
            ensemble=bool(self.space.ensemble),
        )
        return evaluation

    def _report(self, state: SearchState, part: str, evaluation: Evaluation) -> dict[str, float]:
        metrics = {f"{part}_{name}": float(value) for name, value in evaluation.metrics.items()}
        state.progress.add(metrics, evaluation.examples)
        return metrics

    def _describe_epoch(self, state: SearchState) -> Record:
        """What an epoch's record holds beside the metrics: the learning rate, and the mixture as nested lists.

        The mixture of an ensemble is the mean over its members.
        """
        mixture = {
            name: weights.reshape(-1, *weights.shape[-2:]).mean(dim=0).cpu().tolist()
            for name, weights in self.mixture(state).items()
        }
        return {"learning_rate": state.weight_optimizer.param_groups[0]["lr"], "mixture": mixture}


def search(
    space: ImageSpace,
    *,
    train: Any,
    validation: Any = None,
    method: Method | str | None = None,
    settings: SearchSettings | None = None,
    task: Task | None = None,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    device: str | torch.device = "auto",
    **changes: Any,
) -> SearchResult:
    """Search an architecture: the weights learn on `train`, the logits on `validation` (Eq. 4).

    `train` and `validation` are `ImageData`, a pair of arrays (images, labels), or a map-style dataset. Without
    `validation` the training data is split by the library, stratified, half and half unless the settings say otherwise.
    Both parts are augmented. `method` is a row of the table or its name. `changes` are fields of `SearchSettings`, such
    as `epochs=3`.

    Equal seeds give equal searches; on the CPU bit for bit, also when stopped and resumed.

    Raises:
        ValueError: before any work, for data or settings that do not fit the space or each other.
        Diverged: a loss is no longer finite.
    """
    resolved = changed(SearchSettings() if settings is None else settings, changes)
    where = resolve_device(device)
    training, validating = _both_parts(space, train, validation, settings=resolved, seed=seed)
    augmentation = resolved.augmentation.fitted(training) if isinstance(training, ImageData) else resolved.augmentation
    streams = [
        Stream(
            part,
            batch_size=resolved.batch_size,
            seed=seed,
            purpose=f"search {purpose}",
            augmentation=augmentation,
            device=where,
            workers=resolved.workers,
        )
        for purpose, part in (("train", training), ("validation", validating))
    ]
    searcher = Searcher(
        space,
        steps_per_epoch=streams[0].batches_per_epoch,
        method=method,
        settings=resolved,
        task=task,
        device=where,
    )
    return searcher.run(searcher.init(seed), streams[0], streams[1], callbacks=callbacks)


def _both_parts(
    space: ImageSpace, train: Any, validation: Any, *, settings: SearchSettings, seed: int
) -> tuple[ImageData | Dataset[Any], ImageData | Dataset[Any]]:
    training = as_images(train)
    if validation is None:
        training, validating = halve(training, fraction=settings.train_fraction, seed=seed)
    else:
        validating = as_images(validation)
    shape = image_shape(training)
    if image_shape(validating) != shape:
        raise ValueError(f"validation: images of shape {image_shape(validating)}, but train has {shape}.")
    num_classes = training.num_classes if isinstance(training, ImageData) else None
    space.check_data(shape, num_classes)
    for name, part in (("train", training), ("validation", validating)):
        check_classes(part, name=name, num_classes=space.num_classes)
    return training, validating
