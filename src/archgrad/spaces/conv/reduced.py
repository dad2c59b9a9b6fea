"""S1 to S4: the convolutional space with few candidates per edge, in which plain DARTS fails (arXiv:1909.09656)."""

from typing import Any

from archgrad.arch import NONE, LogitGroup
from archgrad.checks import one_of
from archgrad.ops import DARTS_CANDIDATES
from archgrad.spaces.conv.plan import NORMAL, REDUCE
from archgrad.spaces.conv.space import ConvCellSpace

REDUCED_CANDIDATES = {
    "S1": ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3", "dil_conv_5x5"),
    "S2": ("skip_connect", "sep_conv_3x3"),
    "S3": (NONE, "skip_connect", "sep_conv_3x3"),
    "S4": ("noise", "sep_conv_3x3"),
}
"""The candidates of each space; S1 has two of them on each edge."""

_SHORT: dict[str, str] = dict(
    zip(("max", "avg", "skip", "sep3", "dil3", "dil5"), REDUCED_CANDIDATES["S1"], strict=True)
)

_S1 = {
    NORMAL: "skip dil3 | skip dil5 | skip dil5 | skip sep3 | skip dil3 | max skip | skip sep3 | skip sep3 | skip dil3 "
    "| skip sep3 | max skip | skip dil3 | dil3 dil5 | dil3 dil5",
    REDUCE: "max avg | max dil3 | max avg | max avg | skip dil5 | max avg | max sep3 | skip dil3 | skip dil5 "
    "| max avg | max avg | skip dil5 | skip dil5 | skip dil5",
}
"""S1's pair on each of the 14 edges, by target, then source, as the authors' code lists them."""


def reduced_space(name: str, **size: Any) -> ConvCellSpace:
    """Make the space S1, S2, S3 or S4 of Robust DARTS; `size` are further arguments of `ConvCellSpace`.

    - S1: two candidates on each edge, different ones on different edges, which were left when the authors had dropped
      the least important candidates of DARTS' space one after another;
    - S2: 3×3 separable convolution and skip connection on every edge;
    - S3: those two and `none`;
    - S4: 3×3 separable convolution and `noise`, which replaces every value by one from N(0, 1).

    Where edges have different candidates (S1) each has its logits in the columns of the space's six candidates, the
    others masked: the mixture is that over its own two.

    Reference: arXiv:1909.09656, section 3; S1's table as in the authors' code, which the paper draws in its appendix.

    >>> space = reduced_space("S1", channels=16, layers=8)
    >>> space.groups[0].choices[:2]
    (('skip_connect', 'dil_conv_3x3'), ('skip_connect', 'dil_conv_5x5'))
    >>> print(sum(group.mask.sum() for group in space.groups))
    56

    Raises:
        ValueError: an unknown name, cells of S1 with other than four nodes, or what `ConvCellSpace` refuses.
    """
    candidates = REDUCED_CANDIDATES[one_of("name", name := name.upper(), REDUCED_CANDIDATES)]
    if name != "S1":
        return ConvCellSpace(candidates=candidates, **size)
    nodes = size.get("nodes", 4)
    if nodes != 4:
        raise ValueError(f"nodes: S1 lists the candidates of the edges of 4 nodes, got {nodes!r}; S2 to S4 take any.")
    edges = LogitGroup.dense(NORMAL, inputs=2, nodes=nodes, candidates=DARTS_CANDIDATES).edges
    choices = {
        kind: {
            edge: tuple(_SHORT[short] for short in pair.split())
            for edge, pair in zip(edges, table.split("|"), strict=True)
        }
        for kind, table in _S1.items()
    }
    return ConvCellSpace(candidates=candidates, choices=choices, **size)
