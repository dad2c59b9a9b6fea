"""The compiled step: PyTorch's searches step by step, any two transformations, and the same for many seeds."""

import copy
from dataclasses import dataclass, replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx

from archgrad import decode as rules
from archgrad.bilevel import Searcher
from archgrad.genotype import Genotype
from archgrad.jax import (
    MixedOperation,
    classification,
    decode,
    init_search,
    member,
    mixture,
    search_epoch,
    search_step,
    supernet_of,
    to_torch,
)
from archgrad.jax.search import TRAIN, VALIDATION
from archgrad.jax.stream import batch_at
from archgrad.methods import Method
from archgrad.relax import Annealed, BetaDecay, Softmax
from archgrad.settings import BilevelSettings, SearchSettings
from archgrad.spaces import ConvCellSpace


def halves(examples):
    inputs, targets = examples
    return (inputs[:16], targets[:16]), (inputs[16:], targets[16:])


def assert_equal(found, expected, **tolerance):
    """Two states, or any other trees, leaf by leaf; bit for bit unless a tolerance is given."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        if jnp.issubdtype(left.dtype, jax.dtypes.prng_key):
            left, right = jax.random.key_data(left), jax.random.key_data(right)
        np.testing.assert_allclose(left, right, **({"rtol": 0} | tolerance))


class TorchChain(torch.nn.Module):
    """The chain's twin, its parameters by the names that they have in Flax."""

    def __init__(self):
        super().__init__()
        for place in range(2):
            operation = torch.nn.ModuleDict({"body": torch.nn.Conv2d(2, 2, 3, padding=1, bias=False)})
            self.add_module(str(place), torch.nn.ModuleDict({"operations": torch.nn.ModuleDict({"2": operation})}))
        self.classifier = torch.nn.Linear(2, 3)

    def forward(self, images, mixture):
        for place, weights in enumerate(mixture["layers"]):
            convolution = self.get_submodule(f"{place}.operations.2.body")
            images = torch.tanh(weights[1] * images + weights[2] * convolution(images))
        return self.classifier(images.mean(dim=(2, 3)))


class TorchSpace:
    """What PyTorch's driver wants of a space, around that of the chain."""

    name = "chain"
    ensemble = ()

    def __init__(self, space):
        self.groups = space.groups
        self.decode = space.decode

    def supernet(self):
        return TorchChain()

    def network(self, genotype):
        raise NotImplementedError

    def check_data(self, shape, num_classes):
        raise NotImplementedError

    def random_genotype(self, generator):
        raise NotImplementedError


def as_tensors(batch):
    images, labels = (torch.from_numpy(np.array(part)) for part in batch)
    return images.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last), labels.long()


def twin_search(state, space):
    """A PyTorch search that begins as a state does."""
    problem = state.problem
    searcher = Searcher(
        space,
        steps_per_epoch=problem.steps_per_epoch,
        method=problem.method,
        settings=problem.settings,
        device="cpu",
    )
    started = searcher.init(0)
    precision = torch.from_numpy(np.array(next(iter(state.logits.values())))).dtype
    to_torch(supernet_of(state), started.supernet.to(precision))
    for name, logits in started.logits.items():
        logits.data = torch.from_numpy(np.array(state.logits[name]))
    return searcher, started


def assert_steps_are_those_of_pytorch(state, space, batches, *, steps, tolerance):
    searcher, twin = twin_search(state, space)
    for step in range(steps):
        pair = batches if step % 2 == 0 else batches[::-1]
        state, info = search_step(state, *pair)
        twin, expected = searcher.step(twin, *map(as_tensors, pair))
        for name, value in info.items():
            if name in expected:
                assert float(value) == pytest.approx(expected[name], rel=tolerance), (step, name)
            else:
                assert np.isnan(value)
                assert step < state.problem.settings.warmup_epochs * state.problem.steps_per_epoch
    for name, logits in twin.logits.items():
        np.testing.assert_allclose(state.logits[name], logits.detach(), rtol=tolerance, atol=tolerance)
    carried = to_torch(supernet_of(state), copy.deepcopy(twin.supernet))
    for (name, found), weight in zip(carried.named_parameters(), twin.supernet.parameters(), strict=True):
        torch.testing.assert_close(
            found, weight, rtol=tolerance, atol=tolerance, msg=lambda m, name=name: f"{name}: {m}"
        )
    return state, searcher, twin


OWN = Method(name="own", citation="", relaxation=Annealed(Softmax(2.0), 0.5), penalties=(BetaDecay(weight=2.0),))
TUNED = {"learning_rate": 0.5, "weight_decay": 0.1, "logits_weight_decay": 0.1}
SECOND = {"method": "darts-second-order", "gradient_clip": 0.1, **TUNED}
ANNEALED = {"method": OWN, **TUNED}
WARMED_UP = {"method": "fair-darts", "warmup_epochs": 1, **TUNED}


@pytest.mark.parametrize("changes", [SECOND, WARMED_UP, ANNEALED], ids=["second", "warmed_up", "annealed"])
def test_steps_are_those_of_pytorch(start_chain, examples, changes):
    """Over all epochs: the cosine, momenta, decays, the bound on the gradient, progress, warm-up, and penalties."""
    state = start_chain(**changes)
    space = TorchSpace(state.problem.space)
    after, searcher, twin = assert_steps_are_those_of_pytorch(state, space, halves(examples), steps=6, tolerance=1e-4)
    assert abs(after.logits["layers"] - state.logits["layers"]).max() > 0.1
    assert decode(after) == searcher.decode(twin)
    np.testing.assert_allclose(mixture(after)["layers"], searcher.mixture(twin)["layers"], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["darts-first-order", "darts-second-order", "pc-darts", "darts-minus"])
def test_steps_on_cells_are_those_of_pytorch(method):
    space = ConvCellSpace(
        channels=8,
        layers=3,
        nodes=2,
        num_classes=3,
        in_channels=1,
        candidates=("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3"),
    )
    generator = np.random.default_rng(0)
    with jax.enable_x64(True):
        batches = [(jnp.asarray(generator.normal(size=(8, 8, 8, 1))), jnp.arange(8) % 3) for _ in range(2)]
        state = init_search(space, steps_per_epoch=2, epochs=3, method=method, logits_learning_rate=0.1)
        assert_steps_are_those_of_pytorch(state, state.problem.space, batches, steps=4, tolerance=1e-6)


def test_a_warm_up_trains_the_weights_alone(start_chain, examples):
    state = start_chain(**WARMED_UP)
    before = state
    for step in range(3):
        state, info = search_step(state, *halves(examples))
        still = step < 2
        assert np.array_equal(state.logits["layers"], before.logits["layers"]) == still
        assert all(np.isnan(info[name]) == still for name in ("validation_loss", "validation_accuracy"))
        assert all(np.isfinite(info[name]) for name in ("train_loss", "train_accuracy"))
    assert int(state.step) == 3


def test_any_two_transformations_are_used_as_they_are(start_chain, examples):
    """The second order through Adam, by reverse mode through the whole of it; then the weights see the new logits."""
    of_weights, of_logits = optax.adam(0.1), optax.sgd(5.0, momentum=0.5)
    state = start_chain(weight_optimizer=of_weights, logit_optimizer=of_logits, gradient_clip=1e9)
    train, validation = halves(examples)

    def loss_on(batch):
        def loss(weights, logits):
            module = nnx.merge(state.problem.graph, weights, state.variables, copy=True)
            return classification(module(batch[0], jax.tree.map(nnx.softmax, logits)), batch[1])[0]

        return loss

    @jax.jit
    def by_hand(weights, logits, weight_state, logit_state):
        of_train = jax.grad(loss_on(train))

        def unrolled(logits):
            updates, _ = of_weights.update(of_train(weights, logits), weight_state, weights)
            return loss_on(validation)(optax.apply_updates(weights, updates), logits)

        updates, logit_state = of_logits.update(jax.grad(unrolled)(logits), logit_state, logits)
        logits = optax.apply_updates(logits, updates)
        updates, weight_state = of_weights.update(of_train(weights, logits), weight_state, weights)
        return optax.apply_updates(weights, updates), logits, weight_state, logit_state

    learnt = state.weights, state.logits, state.weight_state, state.logit_state
    for _ in range(3):
        learnt = by_hand(*learnt)
        state, _ = search_step(state, train, validation)
    found = state.weights, state.logits, state.weight_state, state.logit_state
    assert_equal(found, learnt, rtol=1e-3, atol=1e-5)
    assert abs(state.logits["layers"]).max() > 0.1


def test_running_averages_of_modules_of_ones_own_move_in_weight_steps_alone(start_chain, examples):
    """Once in each step, by the training batch, although the second order looks at both batches and several times."""

    class Normalised(nnx.Module):
        def __init__(self, rngs):
            norm = nnx.BatchNorm(2, momentum=0.9, rngs=rngs)
            self.mixed = MixedOperation(("none", "identity", norm), channels=2, rngs=rngs)
            self.classifier = nnx.Linear(2, 3, rngs=rngs)

        def __call__(self, images, mixture):
            return self.classifier(self.mixed(images, weights=mixture["layers"][0]).mean(axis=(1, 2)) ** 2)

    state = start_chain(supernet=Normalised)
    train, (images, labels) = halves(examples)
    after, _ = search_step(state, train, (images + 100.0, labels))
    averages = {path[-1]: variable[...] for path, variable in nnx.to_flat_state(after.variables)}
    np.testing.assert_allclose(averages["mean"], 0.1 * train[0].mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(averages["var"], 0.9 + 0.1 * train[0].var(axis=(0, 1, 2)), rtol=1e-5)


def test_progress_goes_by_epochs_from_0_to_1(start_chain):
    progress = jax.jit(start_chain(epochs=5).problem.progress)
    assert [float(progress(step)) for step in range(14)] == [0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, *[1] * 6]
    assert float(start_chain(epochs=1).problem.progress(jnp.asarray(1))) == 0


def test_seeds_are_searches_of_their_own_and_share_one_compilation(start_chain, examples):
    first, again, other = (start_chain(seed=seed, **SECOND) for seed in (3, 3, 4))
    assert_equal(first, again)
    assert first.problem == other.problem
    drawn = [[leaf for leaf in jax.tree.leaves((s.weights, s.logits)) if leaf.any()] for s in (first, other)]
    assert len(drawn[0]) == 4  # two convolutions, the classifier, the logits; biases begin at 0
    assert all((a != b).all() for a, b in zip(*drawn, strict=True))
    search_step(first, *halves(examples))
    compiled = search_step._cache_size()
    after, _ = search_step(other, *halves(examples))
    search_step(after, *halves(examples))
    search_step(again, *halves(examples)[::-1])
    assert search_step._cache_size() == compiled
    assert start_chain(seed=3, epochs=4, **SECOND).problem != first.problem


def test_initial_values(start_chain):
    """The logits' spread is that of the settings; the key keeps apart what is drawn."""
    logits = np.concatenate([start_chain(seed=seed, logits_scale=0.5).logits["layers"].ravel() for seed in range(50)])
    assert 0.4 < logits.std() < 0.6
    assert abs(logits.mean()) < 0.15
    assert (np.asarray(start_chain(logits_scale=0.0).logits["layers"]) == 0).all()


@pytest.fixture(scope="module")
def epochs(start_chain, examples):
    """An epoch of two seeds, one after the other and side by side."""
    parts = halves(examples)
    alone = [search_epoch(start_chain(seed=seed, **ANNEALED), *parts, batch_size=6) for seed in range(2)]
    many = jax.jit(jax.vmap(lambda seed: start_chain(seed=seed, **ANNEALED)))(jnp.arange(2))
    together = jax.jit(jax.vmap(lambda state: search_epoch(state, *parts, batch_size=6)))(many)
    return SimpleNamespace(alone=alone, many=many, together=together)


def test_seeds_side_by_side_are_the_single_searches(epochs, start_chain):
    for seed, (state, info) in enumerate(epochs.alone):
        assert_equal(member(epochs.many, seed), start_chain(seed=seed, **ANNEALED), rtol=1e-6)
        found, metrics = epochs.together
        assert_equal(member(found, seed), state, rtol=1e-3, atol=1e-5)
        assert decode(member(found, seed)) == decode(state)
        assert_equal({name: value[seed] for name, value in metrics.items()}, info, rtol=1e-4)
    assert not np.allclose(*epochs.together[0].logits["layers"])


def test_an_epoch_is_its_steps(epochs, start_chain, examples):
    """On batches that follow from key and step, and with the means of the steps' metrics."""
    state, infos = start_chain(seed=1, **ANNEALED), []
    for step in range(2):
        batches = [
            batch_at(part, jax.random.fold_in(state.key, purpose), step=step, batch_size=6)
            for part, purpose in zip(halves(examples), (TRAIN, VALIDATION), strict=True)
        ]
        state, info = search_step(state, *batches)
        infos.append(info)
    found, metrics = epochs.alone[1]
    assert_equal(found, state, rtol=1e-3, atol=1e-5)
    for name, value in metrics.items():
        assert float(value) == pytest.approx(np.mean([float(info[name]) for info in infos]), rel=1e-4)


def test_epochs_want_two_examples_in_a_batch_and_no_more_than_there_are(start_chain, examples):
    for size, message in ((1, "batch_size: must be at least 2"), (17, "at most the number of examples, 16, got 17")):
        with pytest.raises(ValueError, match=message):
            search_epoch(start_chain(), *halves(examples), batch_size=size)


def test_a_state_decodes_to_what_its_mixture_decodes_to(epochs):
    state, _ = epochs.alone[0]
    group = state.problem.groups[0]
    weights = np.asarray(nnx.softmax(state.logits["layers"] / 2.0))  # the temperature of the first epoch
    np.testing.assert_allclose(mixture(state)["layers"], weights, rtol=1e-6)
    genotype = decode(state)
    assert genotype.cells[0].nodes == rules.top_k(weights, group, 1)
    assert [edges[0].operation for edges in genotype.cells[0].nodes] == [
        group.candidates[1 + place] for place in weights[:, 1:].argmax(axis=1)
    ]
    assert Genotype.from_json(genotype.to_json()) == genotype


def test_a_state_is_decoded_at_the_progress_of_its_last_step(start_chain):
    """As on PyTorch's side: the step that ended an epoch was still of that epoch."""
    start = start_chain(method=OWN, epochs=3, logits_scale=1.0)
    for step, temperature in ((0, 2.0), (2, 2.0), (3, 1.25), (4, 1.25), (6, 0.5), (9, 0.5)):
        expected = nnx.softmax(start.logits["layers"] / temperature)
        np.testing.assert_allclose(mixture(replace(start, step=jnp.asarray(step)))["layers"], expected, rtol=1e-5)


def test_what_cannot_be_decoded_is_refused(epochs, start_chain):
    with pytest.raises(ValueError, match=r"state: holds 2 searches; take one of them, `member\(state, 0\)`"):
        decode(epochs.many)

    @dataclass(frozen=True)
    class Bare:
        groups: tuple

    state = start_chain()
    bare = replace(state, problem=replace(state.problem, space=Bare(state.problem.groups)))
    with pytest.raises(ValueError, match=r"space: Bare has no method decode\(mixture, decoder\)"):
        decode(bare)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "fair-dart"}, "method: 'fair-dart' is unknown; did you mean 'fair-darts'"),
        ({"method": "gdas"}, r"method: 'gdas' is the PyTorch driver's alone \(it has mixing.one_path\).*darts-minus"),
        ({"patience": 3}, "patience: is a setting of the PyTorch driver alone; in JAX: epochs"),
        ({"settings": BilevelSettings(patience=3)}, "patience: is a setting of the PyTorch driver alone; in JAX: ep"),
        ({"method": "dartz"}, "method: 'dartz' is unknown; .*Allowed: darts-first-order, "),
        ({"seed": 2**32}, r"seed: must lie in \[0, 4294967295\], got 4294967296"),
        ({"seed": -1}, "seed: must be at least 0, got -1"),
        ({"seed": True}, "seed: must be a whole number, got True"),
        ({"supernet": lambda rngs: 3}, "supernet: must make a module of Flax NNX, made int"),
        ({"weight_optimizer": optax.sgd(1.0), "momentum": 0.5}, "momentum: has no effect beside weight_optimizer"),
        (
            {"logit_optimizer": optax.sgd(1.0), "logits_betas": (0.5, 0.9)},
            "logits_betas: has no effect beside logit_optimizer",
        ),
        ({"epoch": 3}, "argument: 'epoch' is unknown; did you mean 'epochs'"),
        ({"steps_per_epoch": 0}, "steps_per_epoch: must be at least 1, got 0"),
        ({"settings": SearchSettings(batch_size=3)}, "batch_size: is a setting of the PyTorch driver alone"),
    ],
    ids=lambda value: "",
)
def test_bad_arguments_are_named(start_chain, changes, message):
    with pytest.raises(ValueError, match=message):
        start_chain(**changes)


def test_settings_may_be_changed_one_by_one(start_chain):
    state = start_chain(settings=BilevelSettings(epochs=7, momentum=0.5), epochs=8)
    assert (state.problem.settings.epochs, state.problem.settings.momentum) == (8, 0.5)


def test_the_supernet_of_a_state_is_a_module_of_its_own(start_chain, examples):
    state = start_chain()
    inputs, _ = examples
    module = supernet_of(state)
    before = module(inputs, mixture(state))
    nnx.update(module, jax.tree.map(jnp.zeros_like, nnx.state(module)))
    assert not module(inputs, mixture(state)).any()
    np.testing.assert_array_equal(supernet_of(state)(inputs, mixture(state)), before)


def test_labels_that_are_no_classes_are_refused():
    space = ConvCellSpace(channels=4, layers=3, nodes=1, num_classes=3, candidates=("none", "skip_connect"))
    state = init_search(space, steps_per_epoch=1)
    good, bad = (np.ones((4, 8, 8, 3), np.float32), np.arange(4) % 3), (np.ones((4, 8, 8, 3), np.float32), np.arange(4))
    with pytest.raises(ValueError, match="validation: labels must lie in 0 to 2, got 0 to 3"):
        search_epoch(state, good, bad, batch_size=2)
    with pytest.raises(ValueError, match="validation: labels must lie in 0 to 2, got -1 to 1"):
        search_epoch(state, good, (good[0], good[1] - 1), batch_size=2)
    with pytest.raises(ValueError, match="train: labels must be an array of whole numbers, of JAX or NumPy, got list"):
        search_epoch(state, (good[0], good[1].tolist()), good, batch_size=2)
    with pytest.raises(ValueError, match=r"train: labels must be an array of whole numbers, .*, got float64"):
        search_epoch(state, (good[0], good[1] / 1), good, batch_size=2)
    with pytest.raises(ValueError, match="train: inputs must be an array of numbers, of JAX or NumPy, got <U1"):
        search_epoch(state, (good[0].astype(int).astype("U1"), good[1]), good, batch_size=2)


def test_the_loss_of_labels_that_are_no_classes():
    scores = jnp.eye(4, 3)
    assert classification(scores, jnp.arange(4) % 3)[0] < 1.2
    for label in (-1, -4, 3):
        assert jnp.isnan(classification(scores, jnp.array([0, 1, 2, label]))[0])
    with pytest.raises(ValueError, match=r"labels: must be whole numbers \[N\], got float32"):
        classification(scores, jnp.zeros(4))
    for count in (0, 3):
        with pytest.raises(ValueError, match=rf"labels: must be one for each of the scores, \[4, 3\], got {count}"):
            classification(scores, jnp.zeros(count, int))
    with pytest.raises(ValueError, match=r"labels: must be one for each of the scores, \[0, 3\], got 0"):
        classification(scores[:0], jnp.zeros(0, int))


def test_a_loss_returns_a_scalar_and_metrics(start_chain, examples):
    with pytest.raises(ValueError, match=r"loss: must return \(a scalar, metrics by name\)"):
        search_step(start_chain(loss=lambda scores, labels: scores.sum()), examples, examples)


def test_searches_side_by_side_are_taken_one_by_one(start_chain, examples):
    states = jax.vmap(lambda seed: start_chain(seed=seed))(jnp.arange(2))
    for index in (2, -1):
        with pytest.raises(ValueError, match=f"index: the state holds 2 searches, 0 to 1; got {index}"):
            member(states, index)
    with pytest.raises(ValueError, match="index: the state holds one search alone"):
        member(start_chain(), 0)
    for take in (supernet_of, lambda states: search_step(states, examples, examples)):
        with pytest.raises(ValueError, match="state: holds 2 searches"):
            take(states)


def test_what_suits_no_space_of_ones_own_is_refused(start_chain):
    for method in ("pc-darts", "darts-minus"):
        with pytest.raises(ValueError, match=f"method: '{method}' changes the inside of cells"):
            start_chain(method=method)
    supernet = supernet_of(start_chain())
    with pytest.raises(ValueError, match="supernet: must be a class or function that makes a module"):
        start_chain(supernet=supernet)
    with pytest.raises(ValueError, match="space: int has no `groups`"):
        init_search(3, steps_per_epoch=1, supernet=type(supernet))
    with pytest.raises(ValueError, match="space: its `groups` must be at least one"):
        init_search(SimpleNamespace(groups=()), steps_per_epoch=1, supernet=type(supernet))
