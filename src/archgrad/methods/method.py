"""A row of the table of methods: which parts a search is put together from."""

from dataclasses import dataclass, field

from archgrad.checks import one_of
from archgrad.decode import argmax, top_k, viterbi
from archgrad.hypergrad import FirstOrder, Hypergradient
from archgrad.mixing import Mixing
from archgrad.relax import Penalty, Relaxation, Softmax, is_one_hot
from archgrad.selection import Selection
from archgrad.spaces.space import Decoder
from archgrad.stability import Alignment, Freezing, Perturbation, Stopping
from archgrad.stages import Stage, check_stages

EXAMPLES = {
    "relaxation": "Softmax()",
    "decoder": "archgrad.decode.top_k",
    "hypergradient": "Unrolled()",
    "perturbation": "RandomPerturbation()",
    "alignment": "Alignment()",
    "selection": "PerturbationSelection()",
    "penalties": "(BetaDecay(),)",
    "stages": "(Stage(share=1.0),)",
    "stopping": "(EigenvalueGrowth(),)",
    "mixing": "Mixing(partial_channels=4)",
    "freezing": "Freezing()",
}
"""What a part may look like, for messages."""

DECODERS = {"top_k": top_k, "argmax": argmax}
"""The rules that decode a group of logits."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A row of the table: the parts of a search, each a small object of its own; the defaults are first-order DARTS.

    relaxation       p = relax(α): Eq. 1, `archgrad.relax`
    hypergradient    ∇_α of the bilevel objective: Eq. 5 to 7, `archgrad.hypergrad`; None: the logits never move
    decoder          mixture to edges: Eq. 9, `archgrad.decode`
    penalties        added to the validation loss in steps of the logits: `archgrad.relax.penalties`, `archgrad.costs`
    mixing           what an edge of the supernet does beside mixing: `archgrad.mixing`
    stages           stretches of the epochs between which the supernet changes: `archgrad.stages`
    perturbation     moves the logits in steps of the weights: `archgrad.stability`
    alignment        a regulariser of the weights: `archgrad.stability`
    freezing         stops the training of single operations: `archgrad.stability`
    stopping         rules that end the search and name the epoch to decode: `archgrad.stability`
    selection        finds the genotype with the supernet's weights, in place of the decoder: `archgrad.selection`

    `citation` is the paper's arXiv id; parts carry their own, and `archgrad.citation` collects both.

    Raises:
        ValueError: parts that contradict each other; the message says which and what would do.
    """

    name: str
    citation: str
    relaxation: Relaxation = field(default_factory=Softmax)
    hypergradient: Hypergradient | None = field(default_factory=FirstOrder)
    decoder: Decoder = top_k
    penalties: tuple[Penalty, ...] = ()
    mixing: Mixing = field(default_factory=Mixing)
    stages: tuple[Stage, ...] = ()
    perturbation: Perturbation | None = None
    alignment: Alignment | None = None
    freezing: Freezing | None = None
    stopping: tuple[Stopping, ...] = ()
    selection: Selection | None = None

    def __post_init__(self) -> None:
        self._check_kinds()
        if self.decoder is viterbi:
            raise ValueError(
                "decoder: viterbi decodes paths through a trellis, and no cells; the path of a TrellisSpace is decoded "
                f"by it anyway. Allowed for cells: {', '.join(DECODERS)}; the nearest is top_k."
            )
        check_stages(self.stages)
        if self.hypergradient is None and self.penalties:
            raise ValueError("penalties: are added to the loss of the logits, which never move without hypergradient.")
        if self.hypergradient is None and self.selection is None:
            raise ValueError(
                "hypergradient: None leaves the logits as they were drawn, so that decoding them says nothing; give a "
                "selection, such as OneShot(100, draw='uniform')."
            )
        if self.mixing.one_path:
            self._check_one_path()

    def _check_kinds(self) -> None:
        """Raise a ValueError where a part is a name, a class, or a single one in place of a tuple."""
        for part in ("relaxation", "decoder", "hypergradient", "perturbation", "alignment", "selection"):
            value = getattr(self, part)
            optional = part not in ("relaxation", "decoder")
            if isinstance(value, type) or not (callable(value) or (optional and value is None)):
                raise ValueError(
                    f"{part}: must be an object that can be called, such as {EXAMPLES[part]}, got {value!r}."
                )
        for part in ("penalties", "stages", "stopping"):
            value = getattr(self, part)
            if not isinstance(value, tuple) or not all(isinstance(item, Stage) or callable(item) for item in value):
                raise ValueError(f"{part}: must be a tuple, such as {EXAMPLES[part]}, got {value!r}.")
        for part, kind in (("mixing", Mixing), ("freezing", Freezing | None)):
            if not isinstance(getattr(self, part), kind):
                raise ValueError(f"{part}: must be such as {EXAMPLES[part]}, got {getattr(self, part)!r}.")

    def _check_one_path(self) -> None:
        """Raise a ValueError where a part needs candidates that one path does not evaluate."""
        if not is_one_hot(self.relaxation):
            raise ValueError(
                f"mixing.one_path: evaluates the candidates of weight 1 alone, but {type(self.relaxation).__name__} "
                "weighs all of them; the nearest valid relaxation is Gumbel(hard=True)."
            )
        for part in ("alignment", "freezing"):
            if getattr(self, part) is not None:
                raise ValueError(
                    f"{part}: compares gradients of all operations, of which one_path evaluates one per edge; "
                    "use mixing.one_path=False with it."
                )


def decoder_by_name(name: str) -> Decoder:
    """Look a decoding rule up.

    Raises:
        ValueError: the name is unknown; the message names the nearest ones.
    """
    return DECODERS[one_of("decoder", name, DECODERS)]
