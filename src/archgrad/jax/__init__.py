"""Differentiable architecture search for Flax and Optax, with archgrad's tables, genotypes, methods and decoders.

    from archgrad.jax import ConvSupernet, MixedOperation, init_search, search_step

Nothing else in archgrad imports this package, nor JAX.
"""

from importlib.util import find_spec

MISSING = [name for name in ("jax", "flax", "optax", "orbax") if find_spec(name) is None]
"""The packages that are not installed."""

if MISSING:
    raise ImportError(
        f"archgrad.jax needs JAX, Flax, Optax and Orbax ({', '.join(MISSING)} is missing): "
        "pip install 'archgrad[jax]', or in a checkout pip install -c constraints.txt -e '.[jax]'; "
        "on a GPU 'jax[cuda13]' as well."
    )

from archgrad.jax.checkpoints import restore, save  # noqa: E402  after the check of what is installed
from archgrad.jax.conversion import from_torch, to_torch  # noqa: E402
from archgrad.jax.hypergradients import Losses, first_order, unrolled  # noqa: E402
from archgrad.jax.network import ConvNetwork  # noqa: E402
from archgrad.jax.operations import CANDIDATES, MixedOperation  # noqa: E402
from archgrad.jax.optimizers import logit_optimizer, weight_optimizer  # noqa: E402
from archgrad.jax.parallel import replicate, shard  # noqa: E402
from archgrad.jax.problem import classification  # noqa: E402
from archgrad.jax.search import (  # noqa: E402
    SearchState,
    decode,
    init_search,
    member,
    mixture,
    search_epoch,
    search_step,
    supernet_of,
)
from archgrad.jax.stream import arrays, batch_at  # noqa: E402
from archgrad.jax.supernet import ConvSupernet  # noqa: E402
from archgrad.jax.support import supported  # noqa: E402
from archgrad.jax.training import Score, evaluate, train  # noqa: E402

__all__ = [
    "CANDIDATES",
    "ConvNetwork",
    "ConvSupernet",
    "Losses",
    "MixedOperation",
    "Score",
    "SearchState",
    "arrays",
    "batch_at",
    "classification",
    "decode",
    "evaluate",
    "first_order",
    "from_torch",
    "init_search",
    "logit_optimizer",
    "member",
    "mixture",
    "replicate",
    "restore",
    "save",
    "search_epoch",
    "search_step",
    "shard",
    "supernet_of",
    "supported",
    "to_torch",
    "train",
    "unrolled",
    "weight_optimizer",
]
