"""What a discovery is asked to do: the one home of its defaults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import nn

from archgrad.arch import NONE
from archgrad.bilevel import SearchState
from archgrad.checks import at_least, one_of, whole
from archgrad.discovery.candidates import EXACT, Candidate
from archgrad.methods import Method, darts
from archgrad.ops.symbolic import PRIMITIVES, Primitive
from archgrad.settings import SearchSettings
from archgrad.spaces.expression.space import ExpressionSpace

STRATEGIES = ("full", "enumeration", "gradient", "random")

ALGEBRAIC = (
    *(NONE, "add", "subtract", "mult", "linear", "constant", "relu", "abs", "softplus", "softminus"),
    *("reciprocal", "square", "cube", "sqrt", "inverse_square"),
)
"""Primitives that are no function in a law of their own: powers take their place."""


@dataclass(frozen=True, kw_only=True)
class OutputLayer:
    """How a gradient search treats the layer y = c₀ + Σ c_j · node_j, and how its weights begin.

    Without `coefficients` the c_j stay 1, without `bias` c₀ stays 0. `weight_decay` is theirs alone; `initialise`, if
    given, is applied to the supernet's modules.
    """

    coefficients: bool = True
    bias: bool = True
    weight_decay: float = 0.0
    initialise: Callable[[nn.Module], None] | None = None

    def __post_init__(self) -> None:
        at_least("classifier_weight_decay", self.weight_decay, 0)

    def prepare(self, state: SearchState) -> None:
        """Make the supernet and the optimiser of a search that has not begun what was asked for."""
        supernet, optimizer = state.supernet, state.weight_optimizer
        if self.initialise is not None:
            supernet.apply(self.initialise)
        layer = [supernet.get_parameter("outputs"), supernet.get_parameter("offset")]
        for parameter, trained, value in zip(layer, (self.coefficients, self.bias), (1.0, 0.0), strict=True):
            if not trained:
                nn.init.constant_(parameter, value)
                parameter.requires_grad_(False)
        (group,) = optimizer.param_groups
        group["params"] = [p for p in group["params"] if all(p is not other for other in layer)]
        optimizer.add_param_group({"params": layer, "weight_decay": self.weight_decay})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How laws are looked for.

    `strategy`: "enumeration" fits all graphs of sums with up to `nodes` nodes, if there are at most
    `enumeration_limit`, and the table of law shapes; "gradient" searches by gradient descent on logits, `restarts`
    at once, by `method` and `settings`; "full" does both in turns; "random" draws graphs from the gradient's spaces.
    A strategy goes on for `rounds` (None: without end), until `time_limit` seconds are over, or until a law's relative
    losses on both parts of the data are below `target_loss`.

    Raises:
        ValueError: a value outside what is allowed, named in the message.
    """

    primitives: tuple[Primitive, ...]
    nodes: int = 2
    strategy: str = "full"
    rounds: int | None = 1
    time_limit: float | None = None
    target_loss: float = EXACT
    validation_fraction: float = 0.2
    enumeration_limit: int = 500
    restarts: int = 64
    most_equations: int = 8
    settings: SearchSettings = field(default_factory=SearchSettings)
    method: Method = field(default_factory=lambda: darts(order=1))
    output_layer: OutputLayer = field(default_factory=OutputLayer)
    seed: int = 0

    def __post_init__(self) -> None:
        whole("num_graph_nodes", self.nodes, 1)
        one_of("strategy", self.strategy, STRATEGIES)
        whole("enumeration_limit", self.enumeration_limit, 0)
        for name in ("restarts", "most_equations"):
            whole(name, getattr(self, name), 1)
        if self.rounds is not None:
            whole("rounds", self.rounds, 1)
        elif self.time_limit is None:
            raise ValueError("rounds: None goes on without end, which needs a time_limit; got time_limit=None.")
        if self.time_limit is not None:
            at_least("time_limit", self.time_limit, 0)
        at_least("target_loss", self.target_loss, 0)
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction: must lie strictly between 0 and 1, got {self.validation_fraction}.")
        names = [primitive.name for primitive in self.primitives]
        if len(set(names)) < len(names):
            raise ValueError(f"primitives: {names} lists one twice.")
        if not set(names) - {NONE}:
            raise ValueError(f"primitives: needs at least one other than {NONE!r}, got {names}.")

    @cached_property
    def custom(self) -> Mapping[str, Primitive]:
        """The user's own primitives by name."""
        return {p.name: p for p in self.primitives if PRIMITIVES.get(p.name) is not p}

    def reached(self, candidate: Candidate) -> bool:
        """Whether a candidate leaves nothing to look for."""
        return max(candidate.loss, candidate.validation_loss) < self.target_loss

    @property
    def has_powers(self) -> bool:
        """Whether products of powers are asked for."""
        return any(primitive.combination == "powered" for primitive in self.primitives)

    @property
    def additive(self) -> tuple[Primitive, ...]:
        """The primitives of graphs of sums; powers have nodes of their own."""
        return tuple(primitive for primitive in self.primitives if primitive.combination != "powered")

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions that laws are made of, by the names of their primitives without coefficients."""
        own = [p.name for p in self.primitives if p.name in self.custom and p.size == 0 and p.combination == "add"]
        plain = [p.name.removeprefix("linear_") for p in self.primitives if p.name not in self.custom]
        known = [name for name in plain if name not in ALGEBRAIC and PRIMITIVES[name].combination == "add"]
        return tuple(dict.fromkeys([*known, *own]))

    @property
    def layouts(self) -> tuple[str, ...]:
        """The spaces that a gradient search goes through in turns."""
        sums = ("sums",) if any(p.name != NONE for p in self.additive) else ()
        return (*sums, "laws") if self.has_powers else sums

    def space(
        self, columns: int, layout: str, *, scales: tuple[float, ...] | None = None, restarts: int = 1
    ) -> ExpressionSpace:
        """The space of a layout over so many columns."""
        if layout == "sums":
            return ExpressionSpace(
                columns=columns, nodes=self.nodes, primitives=self.additive, scales=scales, restarts=restarts
            )
        return ExpressionSpace.laws(columns, primitives=self.primitives, scales=scales, restarts=restarts)
