"""`train`: a network from scratch by a recipe, evaluated on a test set. `evaluate`: a trained one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import Dataset

from archgrad.data.augment import Augmentation
from archgrad.data.describe import check_classes, check_labels, image_shape
from archgrad.data.images import ImageData, as_images
from archgrad.data.stream import Batch, Batches, Stream, evaluation_batches
from archgrad.devices import autocast, preserved_randomness, resolve_device
from archgrad.identity import identify
from archgrad.loop import Callback, Loop, Progress, Record, check_callbacks, run
from archgrad.optimization import descend, restore, set_rate
from archgrad.recipes import Recipe, TrainingRecipe
from archgrad.seeding import derive
from archgrad.spaces.path_dropout import set_path_dropout
from archgrad.tasks import Classification, Task

Assess: TypeAlias = Callable[[nn.Module], Mapping[str, float]]
"""A network -> its metrics on a test set by name, none without one."""


@dataclass
class TrainState:
    """All that a training has learnt: the network, the average of its weights if one is kept, optimiser, progress."""

    network: nn.Module
    average: AveragedModel | None
    optimizer: torch.optim.SGD
    progress: Progress

    @property
    def best(self) -> nn.Module:
        """The network to use: the averaged weights where they are kept."""
        return self.network if self.average is None else self.average.module

    def state_dict(self) -> dict[str, Any]:
        """Everything that is needed to go on exactly here, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go back to what `state_dict` returned."""
        self.network.load_state_dict(saved["network"])
        if self.average is not None:
            self.average.load_state_dict(saved["average"])
        restore(self.optimizer, saved["optimizer"])
        self.progress.load(saved["progress"])


@dataclass(frozen=True)
class Score:
    """What a training came to.

    `accuracy` and `loss` are those on the test set after the last epoch (not the best epoch), None without a test set.
    `augmentation` holds the mean and std that inputs are normalised with.
    """

    accuracy: float | None
    loss: float | None
    parameters: int
    seconds: float
    augmentation: Augmentation
    history: list[Record] = field(repr=False)
    network: nn.Module = field(repr=False)


def count_parameters(network: nn.Module) -> int:
    """The number of parameters that inference uses: an auxiliary head is for training only and not counted."""
    return sum(parameter.numel() for name, parameter in network.named_parameters() if not name.startswith("auxiliary."))


def train(
    network: nn.Module,
    *,
    train: Any,
    test: Any = None,
    recipe: Recipe,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    device: str | torch.device = "auto",
) -> Score:
    """Train a network from its present weights by a recipe and evaluate it.

    `network` maps images [N, C, H, W] to scores [N, classes], or to a pair (scores, auxiliary scores) in training mode;
    any module will do. `train` and `test` are `ImageData`, a pair of arrays, or a map-style dataset. `seed` fixes the
    order of the data, the augmentation and the network's own random layers; initialise the network under a seed of your
    own. On the CPU equal seeds give equal trainings bit for bit, also when stopped and resumed.

    Raises:
        ValueError: before any work, for data that does not fit.
        Diverged: the loss is no longer finite; the step's number is in the message.
    """
    check_callbacks(callbacks)
    if not isinstance(recipe, Recipe):
        raise ValueError(f"recipe: must be a Recipe such as archgrad.recipes.digits(), got {recipe!r}.")
    where = resolve_device(device)
    training, testing = as_images(train), None if test is None else as_images(test)
    _check_data(network, training, testing)
    augmentation = recipe.augmentation.fitted(training) if isinstance(training, ImageData) else recipe.augmentation
    stream = Stream(
        training,
        batch_size=recipe.batch_size,
        seed=seed,
        purpose="train",
        augmentation=augmentation,
        device=where,
        workers=recipe.workers,
    )

    def assess(network: nn.Module) -> dict[str, float]:
        if testing is None:
            return {}
        return evaluate(network, testing, batch_size=recipe.batch_size, augmentation=augmentation, device=where)

    trainer = Trainer(recipe, steps_per_epoch=stream.batches_per_epoch, seed=seed, device=where)
    state = trainer.run(network, stream, assess=assess, callbacks=callbacks)
    last = state.progress.history[-1]
    return Score(
        accuracy=last.get("test_accuracy"),
        loss=last.get("test_loss"),
        history=state.progress.history,
        network=state.best.eval(),
        parameters=count_parameters(network),
        augmentation=augmentation,
        seconds=state.progress.seconds,
    )


class Trainer:
    """One step of a recipe at a time, and the loop around it.

    `steps_per_epoch` gives the learning rate its scale. `task` is what is learnt; None is the classification that an
    image recipe describes.

    Raises:
        ValueError: no task, and the recipe is not one of images.
    """

    def __init__(
        self,
        recipe: TrainingRecipe,
        *,
        steps_per_epoch: int,
        task: Task | None = None,
        seed: int = 0,
        device: str | torch.device = "auto",
    ) -> None:
        self.recipe = recipe
        self.steps_per_epoch = steps_per_epoch
        self.seed = seed
        self.device = resolve_device(device)
        self.task = _classification(recipe) if task is None else task

    def init(self, network: nn.Module) -> TrainState:
        """Move the network to the device and make its optimiser; its weights stay what they are."""
        recipe = self.recipe
        network = network.to(self.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        average = None
        if recipe.average_decay:
            # Buffers too, so that running statistics belong to the averaged weights.
            average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average_decay), use_buffers=True)
        optimizer = torch.optim.SGD(
            network.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        return TrainState(network, average, optimizer, Progress())

    def step(self, state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, float]]:
        """Take one step; change `state` in place and return it with `train_loss` and `train_accuracy`.

        Raises:
            Diverged: the loss is not finite.
        """
        recipe, progress = self.recipe, state.progress
        epoch = progress.step // self.steps_per_epoch
        set_rate(state.optimizer, recipe.step_rate(progress.step, steps_per_epoch=self.steps_per_epoch))
        set_path_dropout(state.network, recipe.path_dropout * epoch / recipe.epochs)
        torch.manual_seed(derive(self.seed, "network", progress.step))
        state.network.train()
        with autocast(self.device, recipe.precision):
            evaluation = self.task.evaluate(state.network, batch, None)
        descend(
            state.optimizer,
            evaluation.loss,
            network=state.network,
            gradient_clip=recipe.gradient_clip,
            step=progress.step,
        )
        if state.average is not None:
            state.average.update_parameters(state.network)
        metrics = {f"train_{name}": float(value) for name, value in evaluation.metrics.items()}
        progress.add(metrics, evaluation.examples)
        progress.step += 1
        return state, metrics

    def describe_epoch(self, state: TrainState, assess: Assess) -> Record:
        """What the record of the epoch that has just ended holds beside the means over its steps."""
        recipe, step = self.recipe, state.progress.step
        epoch = step // self.steps_per_epoch
        record: Record = {"learning_rate": recipe.step_rate(step - 1, steps_per_epoch=self.steps_per_epoch)}
        if epoch % recipe.evaluate_every == 0 or epoch == recipe.epochs:
            record.update({f"test_{name}": value for name, value in assess(state.best).items()})
        return record

    def run(self, network: nn.Module, stream: Batches, *, assess: Assess, callbacks: Sequence[Callback]) -> TrainState:
        """Train a network on a stream until the recipe's epochs are done.

        `assess` is asked for the network's metrics after every `evaluate_every` epochs and the last; the record holds
        them as test_….
        """
        state = self.init(network)
        asked = {"recipe": self.recipe, "network": type(network), "parameters": count_parameters(network)}
        identity = identify({**asked, "train": stream.identity})
        loop = Loop("train", state, self.recipe.epochs, self.steps_per_epoch, identity)
        # Random layers draw from torch's own generators, which are given back to the caller as they were.
        with preserved_randomness(self.device):
            for callback in callbacks:
                callback.on_start(loop)
            batches = stream.batches(state.progress.step)
            run(
                loop,
                lambda: self.step(state, next(batches))[1],
                describe_epoch=lambda: self.describe_epoch(state, assess),
                should_stop=lambda history: False,
                callbacks=callbacks,
            )
        return state


def _classification(recipe: TrainingRecipe) -> Task:
    if not isinstance(recipe, Recipe):
        raise ValueError(f"task: must be given for a {type(recipe).__name__}; only a Recipe describes one.")
    return Classification(label_smoothing=recipe.label_smoothing, auxiliary_weight=recipe.auxiliary_weight)


@torch.no_grad()
def evaluate(
    network: nn.Module,
    data: Any,
    *,
    batch_size: int = 256,
    augmentation: Augmentation | None = None,
    task: Task | None = None,
    device: str | torch.device = "auto",
) -> dict[str, float]:
    """Evaluate a network on every example once, in evaluation mode: the task's metrics, `loss` and `accuracy`.

    `augmentation` gives the mean and std to normalise with (a `Score` has the one it was trained with).
    """
    where = resolve_device(device)
    task = Classification() if task is None else task
    network = network.to(where).eval()
    progress = Progress()
    carry = None
    for batch in evaluation_batches(as_images(data), batch_size=batch_size, augmentation=augmentation, device=where):
        evaluation = task.evaluate(network, batch, carry)
        carry = evaluation.carry
        metrics: Mapping[str, float] = {name: float(value) for name, value in evaluation.metrics.items()}
        progress.add(metrics, evaluation.examples)
    return progress.means()


def _check_data(
    network: nn.Module, training: ImageData | Dataset[Any], testing: ImageData | Dataset[Any] | None
) -> None:
    """Raise a ValueError unless images and labels fit the network, and the test data the training data."""
    shape = image_shape(training)
    outputs = scores_shape(network, shape, name="train")[1]
    check_labels(training, name="train", num_classes=outputs)
    if isinstance(training, ImageData):
        check_classes(training, name="train", num_classes=training.num_classes)
    if testing is None:
        return
    if image_shape(testing) != shape:
        raise ValueError(f"test: images of shape {image_shape(testing)}, but train has {shape}.")
    check_labels(testing, name="test", num_classes=outputs)
    if isinstance(training, ImageData) and isinstance(testing, ImageData) and training.classes != testing.classes:
        raise ValueError(f"test: has the classes {testing.classes}, but train has {training.classes}.")


@torch.no_grad()
def scores_shape(network: nn.Module, shape: tuple[int, int, int], *, name: str) -> tuple[int, ...]:
    """The shape of the scores that the network gives for one image of this shape, of data called `name`.

    Raises:
        ValueError: the network cannot process such images, or gives no tensor.
    """
    parameter = next(network.parameters())
    training = network.training
    try:
        with preserved_randomness(parameter.device):  # a network of any kind may draw in evaluation mode too
            scores = network.eval()(torch.zeros(1, *shape, dtype=parameter.dtype, device=parameter.device))
    except RuntimeError as error:
        raise ValueError(f"{name}: the network cannot process images of shape {shape} ({error}).") from error
    finally:
        network.train(training)
    if not isinstance(scores, Tensor):
        raise ValueError(f"network: must give one tensor of scores in evaluation mode, got a {type(scores).__name__}.")
    return tuple(scores.shape)
