"""Two devices on the CPU, and a chain of mixed operations: a space of one's own that compiles within a second."""

import os
from dataclasses import dataclass
from importlib.util import find_spec

import pytest

INSTALLED = all(find_spec(name) is not None for name in ("jax", "flax", "optax", "orbax"))
collect_ignore_glob = [] if INSTALLED else ["test_*.py"]

if INSTALLED:
    # Compiling takes longer than anything else here. Read when the first computation starts.
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"

    import jax
    import jax.numpy as jnp
    import numpy as np
    from flax import nnx

    from archgrad.arch import LogitGroup
    from archgrad.genotype import Cell, Genotype

    jax.config.update("jax_num_cpu_devices", 2)  # before anything is computed

    from archgrad.jax import MixedOperation

    CANDIDATES = ("none", "identity", "conv_3x3")

    class ChainSupernet(nnx.Module):
        """Images [N, H, W, 2] through two mixed operations to three scores."""

        def __init__(self, rngs):
            self.layers = nnx.List(MixedOperation(CANDIDATES, channels=2, rngs=rngs) for _ in range(2))
            self.classifier = nnx.Linear(2, 3, rngs=rngs)

        def __call__(self, images, mixture):
            for layer, weights in zip(self.layers, mixture["layers"], strict=True):
                images = nnx.tanh(layer(images, weights=weights))
            return self.classifier(images.mean(axis=(1, 2)))

    @dataclass(frozen=True)
    class ChainSpace:
        """Two edges, one behind the other."""

        name = "chain"

        @property
        def groups(self):
            return (LogitGroup("layers", ((0, 1), (1, 2)), CANDIDATES, (CANDIDATES,) * 2),)

        def decode(self, mixture, decoder):
            nodes = decoder(mixture["layers"].numpy(), self.groups[0], 1)
            return Genotype(self.name, (Cell("layers", nodes, (2,), inputs=1),))

    @pytest.fixture(scope="session")
    def start_chain():
        """Starts a search on the chain: `init_search` with everything but the seed and what a test changes."""
        from archgrad.jax import init_search

        def start(**changes):
            asked = {"steps_per_epoch": 2, "epochs": 3, "supernet": ChainSupernet}
            if "logit_optimizer" not in changes:
                asked["logits_learning_rate"] = 0.1
            return init_search(ChainSpace(), **(asked | changes))

        return start

    @pytest.fixture(scope="session")
    def examples():
        """32 images [N, 4, 4, 2] and their labels of three classes, which the brightness of a channel tells apart."""
        labels = jnp.arange(32) % 3
        noise = jnp.asarray(np.random.default_rng(0).normal(size=(32, 4, 4, 2)), jnp.float32)
        return noise.at[..., 0].add(labels[:, None, None].astype(jnp.float32)), labels
