"""Eq. 4, the bilevel search: min_α L_val(w*(α), α) subject to w*(α) = argmin_w L_train(w, α).

One iteration takes an architecture step, then a weight step with the updated logits (arXiv:1806.09055, Algorithm 1):

    α ← α − Adam(∇_α of the bilevel objective on a validation batch)
    w ← w − SGD(∇_w L_train(w, α) on a training batch, clipped)

`Searcher` has `init`, `step` and `run`; what a method changes about them are the parts of its row in the table.
`archgrad.search` makes the batches of images for it.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from archgrad import diagnostics
from archgrad.arch import Logits, Mixture, operation_groups
from archgrad.checks import at_least
from archgrad.data.stream import Batch, Batches
from archgrad.devices import drawn_from, resolve_device
from archgrad.genotype import Genotype
from archgrad.hypergrad import InnerStep, Losses, Weights
from archgrad.identity import identify
from archgrad.loop import Callback, Loop, Progress, Record, check_callbacks, out_of_patience, run
from archgrad.measuring import Measuring
from archgrad.methods import Method, by_name, check_fit, darts, stage_space
from archgrad.optimization import clip_members, require_finite, set_rate
from archgrad.probe import SearchProbe
from archgrad.relax.penalties import Relaxed
from archgrad.schedule import cosine
from archgrad.seeding import derive, generator
from archgrad.settings import BilevelSettings, SearchSettings
from archgrad.spaces.space import Progressing, Space
from archgrad.stages import Choices, moment, strongest
from archgrad.state import SearchState
from archgrad.supernet_loss import SupernetLoss
from archgrad.tasks import Classification, Evaluation, RateScaling, Task
from archgrad.weight_step import weight_step


@dataclass(frozen=True)
class SearchResult:
    """What a search found: the genotype, the logits and their mixture, a record per epoch, and the final state.

    `stopped_at` is the number of the epoch whose mixture a stopping rule chose, None where the last one is decoded.
    """

    genotype: Genotype
    seconds: float
    logits: Logits = field(repr=False)
    mixture: Mixture = field(repr=False)
    history: list[Record] = field(repr=False)
    state: SearchState = field(repr=False)
    stopped_at: int | None = None


class Searcher:
    """The alternating optimisation of Eq. 4 on a space, for a task, by a method.

    `steps_per_epoch` gives the learning rate and the warm-up their scale. The searcher holds no state of the search.

        searcher = Searcher(space, steps_per_epoch=100)
        state = searcher.init(seed=0)
        state, info = searcher.step(state, train_batch, validation_batch)

    Reference: arXiv:1806.09055, Algorithm 1.

    Raises:
        ValueError: `steps_per_epoch` is below 1, the device is not there, or method and space do not go together.
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
        check_fit(self.method, space, epochs=self.settings.epochs)
        self.losses = SupernetLoss(
            self.method, self.settings, self.task, steps_per_epoch=steps_per_epoch, device=self.device
        )

    def init(self, seed: int) -> SearchState:
        """Draw w and α from the seed; nothing else of a search is random but its batches and a method's noise."""
        space = stage_space(self.method, self.space, 0, {})
        supernet = self._supernet(space, seed, stage=0)
        logits = self._logits(space, seed, stage=0)
        state = SearchState(
            space=space,
            supernet=supernet,
            logits=logits,
            weight_optimizer=self._weight_optimizer(supernet),
            logit_optimizer=self._logit_optimizer(logits),
            carries={"train": None, "validation": None},
            progress=Progress(),
            seed=seed,
            enter=self._enter,
        )
        self._equip(state)
        return state

    def _supernet(self, space: Space, seed: int, *, stage: int) -> torch.nn.Module:
        with drawn_from(derive(seed, "weights", *([stage] if stage else []))):
            return space.supernet().to(self.device)

    def _logits(self, space: Space, seed: int, *, stage: int) -> Logits:
        normal = generator(seed, "logits", *([stage] if stage else []))
        scale = self.settings.logits_scale
        return {
            group.name: (scale * torch.randn(*space.ensemble, *group.shape, generator=normal)).to(self.device)
            for group in space.groups
        }

    def _weight_optimizer(self, supernet: torch.nn.Module) -> torch.optim.SGD:
        settings = self.settings
        return torch.optim.SGD(
            supernet.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )

    def _logit_optimizer(self, logits: Logits) -> torch.optim.Adam:
        settings = self.settings
        return torch.optim.Adam(
            list(logits.values()),
            lr=settings.logits_learning_rate,
            betas=settings.logits_betas,
            weight_decay=settings.logits_weight_decay,
        )

    def _enter(self, state: SearchState, stage: int, choices: Choices) -> None:
        """Give the state the supernet of a stage, with the weights that both have, and new optimisers."""
        state.space = stage_space(self.method, self.space, stage, choices)
        supernet = self._supernet(state.space, state.seed, stage=stage)
        supernet.adopt(state.supernet)  # pyright: ignore[reportCallIssue]  a narrowable space's, which was checked
        state.supernet = supernet
        state.weight_optimizer = self._weight_optimizer(supernet)
        if self.method.stages[stage].fresh_logits:
            state.logits = self._logits(state.space, state.seed, stage=stage)
        state.logit_optimizer = self._logit_optimizer(state.logits)
        state.stage, state.choices = stage, choices
        self._equip(state)

    def _equip(self, state: SearchState) -> None:
        """What follows from the state's space and supernet."""
        state.groups = state.space.groups  # once: spaces make them anew when asked
        state.masks = {group.name: group.mask_tensor(self.device) for group in state.groups}
        state.memory = {}
        if self.method.freezing is not None:
            state.operations = state.supernet.operations()  # pyright: ignore[reportCallIssue]  a cell space's
            started = self.method.freezing.start(state.operations)
            state.memory = {name: tensor.to(self.device) for name, tensor in started.items()}

    def step(
        self, state: SearchState, train_batch: Batch, validation_batch: Batch | None
    ) -> tuple[SearchState, dict[str, float]]:
        """Take an architecture step, then a weight step; change `state` in place and return it with the metrics.

        The metrics are `train_loss`, `train_accuracy`, … at (w, α) of the weight step and, once the warm-up is over,
        `validation_loss`, … where the hypergradient took them: at w, or at w' for the second order, and
        `hypergradient_cosine`, that of the step before and this one. During the warm-up `validation_batch` may be None.
        Where the settings ask for several updates, all are on the same batches, with the metrics of the last one.

        Raises:
            Diverged: a loss or the hypergradient is not finite (of an ensemble, that of all members); the step's number
                is in the message.
            ValueError: `validation_batch` is None although the warm-up is over.
        """
        settings, progress = self.settings, state.progress
        epoch = progress.step // self.steps_per_epoch
        rate = self._begin(state, epoch, train_batch)
        info: dict[str, float] = {}
        carries = dict(state.carries)  # all updates see those that the step began with
        if epoch >= settings.warmup_epochs and settings.logit_updates and self.method.hypergradient is not None:
            if validation_batch is None:
                raise ValueError("validation_batch: is None, which is allowed during the warm-up only.")
            for _ in range(settings.logit_updates):
                evaluation = self._architecture_step(state, train_batch, validation_batch, rate)
                info |= self._report(state, "validation", evaluation)
                carries["validation"] = evaluation.carry
            info |= self._compare(state)
        for _ in range(settings.weight_updates):
            evaluation = weight_step(self.losses, state, train_batch, validation_batch=validation_batch)
            info |= self._report(state, "train", evaluation)
            carries["train"] = evaluation.carry
        state.carries = carries
        progress.step += 1
        return state, info

    def _begin(self, state: SearchState, epoch: int, train_batch: Batch) -> float:
        """Enter the stage that the epoch belongs to, and set the learning rate, which is returned."""
        now = moment(self.method.stages, epoch=epoch, epochs=self.settings.epochs)
        if now.stage != state.stage:
            self._enter(state, now.stage, self._narrowed(state, now.stage))
        if isinstance(state.supernet, Progressing):
            state.supernet.progress = now.progress
        rate = cosine(
            self.settings.learning_rate, self.settings.final_learning_rate, epoch=now.epoch, epochs=now.epochs
        )
        if isinstance(self.task, RateScaling):
            rate *= self.task.rate_factor(train_batch)
        set_rate(state.weight_optimizer, rate)
        return rate

    def _narrowed(self, state: SearchState, stage: int) -> Choices:
        """The candidates that enter a stage: the strongest of those that are left."""
        keep = self.method.stages[stage].keep
        if keep is None:
            return state.choices
        mixture = self.mixture(state)
        return {
            group.name: strongest(mixture[group.name].cpu().numpy(), group, keep)
            for group in operation_groups(state.groups)
        }

    def mixture(self, state: SearchState) -> Mixture:
        """p = relax(α) of the state, without noise and graph."""
        return {name: weights.detach() for name, weights in self.losses.mixture(state, stepping=False).items()}

    def decode(self, state: SearchState) -> Genotype:
        """The genotype that the state's mixture decodes to now."""
        return state.space.decode(self.mixture(state), self.method.decoder)

    def run(
        self,
        state: SearchState,
        train: Batches,
        validation: Batches,
        *,
        callbacks: Sequence[Callback] = (),
    ) -> SearchResult:
        """Search until the settings' epochs are done, or a rule stops, from wherever the state is.

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
        measuring = Measuring(self.losses, validation)
        run(
            loop,
            lambda: self.step(state, *next(batches))[1],
            describe_epoch=lambda: measuring.describe(state, self.mixture(state)),
            should_stop=self._should_stop,
            callbacks=callbacks,
        )
        history = state.progress.history
        chosen = self._chosen(history)
        seconds = 0.0  # of a selection; what the epochs took is in their records
        if self.method.selection is None:
            genotype = self._decoded(state, chosen)
        else:
            for callback in callbacks:
                callback.on_selection(loop, type(self.method.selection).__name__)
            started = time.perf_counter()
            probe = SearchProbe(self.losses, state, self.mixture(state), train, validation)
            genotype = self.method.selection(probe)
            seconds = time.perf_counter() - started
        return SearchResult(
            genotype=genotype,
            logits={name: tensor.detach() for name, tensor in state.logits.items()},
            mixture=self.mixture(state),
            history=history,
            state=state,
            seconds=state.progress.seconds + seconds,
            stopped_at=None if chosen is None else history[chosen]["epoch"],
        )

    def _should_stop(self, history: list[Record]) -> bool:
        idle = out_of_patience(history, metric="validation_loss", patience=self.settings.patience)
        return idle or self._chosen(history) is not None

    def _chosen(self, history: Sequence[Record]) -> int | None:
        """The place of the record that a stopping rule has the genotype decoded from; the warm-up is not looked at."""
        warmup = self.settings.warmup_epochs
        places = (rule(history[warmup:]) for rule in self.method.stopping)
        return next((warmup + place for place in places if place is not None), None)

    def _decoded(self, state: SearchState, chosen: int | None) -> Genotype:
        """The genotype of the mixture at the end, or of the epoch that a rule chose."""
        if chosen is None:
            return self.decode(state)
        recorded = state.progress.history[chosen]["mixture"]
        return state.space.decode({n: torch.tensor(rows) for n, rows in recorded.items()}, self.method.decoder)

    def _batches(self, state: SearchState, train: Batches, validation: Batches) -> Iterator[tuple[Batch, Batch | None]]:
        """Pairs of batches from the state's step on; the validation stream starts when the warm-up ends."""
        warmup = self.settings.warmup_epochs * self.steps_per_epoch
        start = state.progress.step
        validating = validation.batches(max(0, start - warmup))
        for step, batch in enumerate(train.batches(start), start):
            yield batch, None if step < warmup else next(validating)

    def _architecture_step(
        self, state: SearchState, train_batch: Batch, validation_batch: Batch, rate: float
    ) -> Evaluation:
        evaluations: list[Evaluation] = []
        losses, groups = self.losses, state.groups

        def train_loss(weights: Weights, logits: Logits) -> Tensor:
            mixture = losses.mixture(state, logits, stepping=True)
            return losses.evaluate(state, weights, mixture, part="train", batch=train_batch).loss

        def validation_loss(weights: Weights, logits: Logits) -> Tensor:
            mixture = losses.mixture(state, logits, stepping=True)
            evaluations.append(losses.evaluate(state, weights, mixture, part="validation", batch=validation_batch))
            relaxed = Relaxed(logits, mixture, groups, losses.progress(state, stepping=True))
            return sum((penalty(relaxed) for penalty in self.method.penalties), evaluations[-1].loss)

        assert self.method.hypergradient is not None
        parameters: Weights = dict(state.supernet.named_parameters())
        hypergradient = self.method.hypergradient(
            Losses(train_loss, validation_loss), parameters, state.logits, inner=self._inner_step(state, rate)
        )
        require_finite(evaluations[-1].loss, "validation loss", step=state.progress.step)
        if state.space.ensemble:
            norm = clip_members(hypergradient.values())
            require_finite(norm, "hypergradient of all members", step=state.progress.step)
        for name, tensor in state.logits.items():
            require_finite(hypergradient[name], f"hypergradient of {name!r}", step=state.progress.step)
            tensor.grad = hypergradient[name]
        state.logit_optimizer.step()
        return evaluations[-1]

    def _inner_step(self, state: SearchState, rate: float) -> InnerStep:
        momenta = state.weight_optimizer.state
        return InnerStep(
            learning_rate=rate,
            momentum=self.settings.momentum,
            weight_decay=self.settings.weight_decay,
            gradient_clip=self.settings.unrolled_clip,
            buffers={
                name: buffer
                for name, parameter in state.supernet.named_parameters()
                if (buffer := momenta[parameter].get("momentum_buffer")) is not None
            },
        )

    def _compare(self, state: SearchState) -> dict[str, float]:
        """The cosine of this hypergradient and the one before, which the state remembers; none for ensembles."""
        if state.space.ensemble:
            return {}
        now = {name: tensor.grad for name, tensor in state.logits.items() if tensor.grad is not None}
        keys = {name: f"hypergradient.{name}" for name in now}
        before = {name: state.memory[key] for name, key in keys.items() if key in state.memory}
        state.memory.update({keys[name]: gradient for name, gradient in now.items()})
        agreement = diagnostics.cosine(before, now)
        if agreement is None:
            return {}
        metrics = {"hypergradient_cosine": agreement}
        state.progress.add(metrics, 1)
        return metrics

    def _report(self, state: SearchState, part: str, evaluation: Evaluation) -> dict[str, float]:
        metrics = {f"{part}_{name}": float(value) for name, value in evaluation.metrics.items()}
        state.progress.add(metrics, evaluation.examples)
        return metrics
