"""Methods that save memory: parts of the channels, and progressive stages."""

from collections.abc import Sequence

from archgrad.methods.method import Method
from archgrad.mixing import Mixing
from archgrad.stages import Stage


def pc_darts(*, partial_channels: int = 4, edge_normalisation: bool = True) -> Method:
    """PC-DARTS: 1 / `partial_channels` of the channels pass the mixtures, edges are normalised (arXiv:1907.05737).

    First order. The paper trains the weights alone for 15 of 50 epochs: `warmup_epochs` of the settings.

    Raises:
        ValueError: `partial_channels` is below 1.
    """
    return Method(
        name="pc-darts",
        citation="1907.05737",
        mixing=Mixing(partial_channels=partial_channels, edge_normalisation=edge_normalisation),
    )


def p_darts(
    *,
    added_layers: Sequence[int] = (0, 6, 12),
    keep: Sequence[int] = (8, 5, 3),
    skip_dropout: Sequence[float] = (0.0, 0.4, 0.7),
) -> Method:
    """P-DARTS: stages of equal length that grow in depth and shrink in operations (arXiv:1904.12760).

    A stage adds `added_layers` cells to those of the space (5 in the paper), keeps `keep` operations on every edge and
    drops values after skip connections at first with probability `skip_dropout`; logits are drawn anew. Differs: the
    weights are carried over, the paper draws them anew; its first 10 of 25 epochs of each stage train the weights
    alone, and its last step that leaves two skip connections is `archgrad.stability.SkipCount`'s business.

    Raises:
        ValueError: the sequences differ in length, or a value is outside what is allowed.
    """
    lengths = {"added_layers": len(added_layers), "keep": len(keep), "skip_dropout": len(skip_dropout)}
    if len(set(lengths.values())) > 1 or not added_layers:
        raise ValueError(f"added_layers, keep, skip_dropout: need one value for each stage, got {lengths}.")
    stages = tuple(
        Stage(
            share=1 / len(keep),
            added_layers=added,
            keep=kept if place else None,
            skip_dropout=dropout,
            fresh_logits=place > 0,
        )
        for place, (added, kept, dropout) in enumerate(zip(added_layers, keep, skip_dropout, strict=True))
    )
    return Method(name="p-darts", citation="1904.12760", stages=stages)
