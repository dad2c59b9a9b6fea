"""The table of methods: each named method is a combination of small parts, each with its citation."""

from archgrad.checks import one_of
from archgrad.methods.differentiable import darts, i_darts, implicit_darts
from archgrad.methods.efficient import p_darts, pc_darts
from archgrad.methods.fitting import check_fit, stage_space
from archgrad.methods.method import DECODERS, Method, decoder_by_name
from archgrad.methods.robust import (
    beta_darts,
    darts_minus,
    darts_plus,
    darts_pt,
    lambda_darts,
    oles,
    robust_darts,
    smooth_darts,
)
from archgrad.methods.sampling import drnas, fair_darts, gdas, random_weight_sharing, snas

METHODS = {
    method.name: method
    for method in (
        darts(order=1),
        darts(order=2),
        darts(order=2, product="finite_difference"),
        implicit_darts(),
        i_darts(),
        fair_darts(),
        snas(),
        gdas(),
        drnas(),
        drnas(progressive=True),
        pc_darts(),
        p_darts(),
        smooth_darts(kind="random"),
        smooth_darts(kind="adversarial"),
        darts_minus(),
        beta_darts(),
        lambda_darts(),
        oles(),
        robust_darts(),
        darts_plus(),
        darts_pt(),
        random_weight_sharing(),
    )
}
"""The table, by name."""


def by_name(name: str) -> Method:
    """Look a method up in the table, as the command line does; capitals do not matter.

    Raises:
        ValueError: the name is unknown; the message names the nearest ones.
    """
    return METHODS[one_of("method", name.lower(), METHODS)]


__all__ = [
    "DECODERS",
    "METHODS",
    "Method",
    "beta_darts",
    "by_name",
    "check_fit",
    "darts",
    "darts_minus",
    "darts_plus",
    "darts_pt",
    "decoder_by_name",
    "drnas",
    "fair_darts",
    "gdas",
    "i_darts",
    "implicit_darts",
    "lambda_darts",
    "oles",
    "p_darts",
    "pc_darts",
    "random_weight_sharing",
    "robust_darts",
    "smooth_darts",
    "snas",
    "stage_space",
]
