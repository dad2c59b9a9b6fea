"""How an edge of a supernet mixes its candidates: what methods change about Eq. 2 besides the mixture itself."""

from dataclasses import dataclass
from typing import ClassVar

from archgrad.checks import at_least, share, whole


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """The mixed operation's variants; the defaults are Eq. 2 as it stands.

    With 0 ≤ t ≤ 1 the progress of the search (see `archgrad.stages` for stages), an edge contributes

        β · shuffle([Σ_o p_o · o(x_S), x_R]) + b (1 − t) · skip(x)

    x_S are the first 1/K of the channels and x_R the others, K = `partial_channels` (arXiv:1907.05737, Eq. 3); β is a
    softmax over the edges that enter a node, with `edge_normalisation` (Eq. 4 and 5 there), else 1; the last term is
    that of `auxiliary_skip` b (arXiv:2009.01027, Eq. 6 and 7). `skip_dropout` r drops values after the skip connection
    of stride 1 with probability r · exp(−5 t) (arXiv:1904.12760, section 3.3). With `one_path` candidates of weight 0
    are not evaluated, and their weights get no gradient (arXiv:1910.04465, Eq. 5 and 6).

    Raises:
        ValueError: a value outside what is allowed, named in the message.
    """

    partial_channels: int = 1
    edge_normalisation: bool = False
    auxiliary_skip: float = 0.0
    skip_dropout: float = 0.0
    one_path: bool = False

    citations: ClassVar[dict[str, str]] = {
        "partial_channels": "1907.05737",
        "edge_normalisation": "1907.05737",
        "auxiliary_skip": "2009.01027",
        "skip_dropout": "1904.12760",
        "one_path": "1910.04465",
    }

    def __post_init__(self) -> None:
        whole("partial_channels", self.partial_channels, 1)
        at_least("auxiliary_skip", self.auxiliary_skip, 0)
        share("skip_dropout", self.skip_dropout)

    @property
    def plain(self) -> bool:
        """Whether this is Eq. 2 as it stands."""
        return self == Mixing()
