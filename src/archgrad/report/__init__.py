"""The pictures of a run and the one HTML page that holds them."""

from archgrad.report.cells import draw_cell, draw_genotype
from archgrad.report.curves import draw_comparison, draw_history, draw_mixture
from archgrad.report.figures import save_figure
from archgrad.report.html import Report, Table, write_report

__all__ = [
    "Report",
    "Table",
    "draw_cell",
    "draw_comparison",
    "draw_genotype",
    "draw_history",
    "draw_mixture",
    "save_figure",
    "write_report",
]
