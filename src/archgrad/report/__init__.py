"""The pictures of a run and the one HTML page that holds them."""

from archgrad.report.cells import draw_cell, draw_genotype
from archgrad.report.curves import draw_comparison, draw_history, draw_mixture
from archgrad.report.diagnostics import draw_diagnostics, explain_diagnostics
from archgrad.report.equations import Equation, draw_front, draw_losses, draw_parity, r_squared
from archgrad.report.expressions import draw_expression
from archgrad.report.figures import Picture, check_picture, save_figure
from archgrad.report.formula import draw_law
from archgrad.report.html import Report, Section, Table, write_report
from archgrad.report.methods import TradeOff, draw_method_table, draw_regret, draw_tradeoff
from archgrad.report.monitor import PlotMonitor
from archgrad.report.segmentation import draw_class_iou, draw_predictions, fallback_palette
from archgrad.report.trellis import draw_trellis

__all__ = [
    "Equation",
    "Picture",
    "PlotMonitor",
    "Report",
    "Section",
    "Table",
    "TradeOff",
    "check_picture",
    "draw_cell",
    "draw_class_iou",
    "draw_comparison",
    "draw_diagnostics",
    "draw_expression",
    "draw_front",
    "draw_genotype",
    "draw_history",
    "draw_law",
    "draw_losses",
    "draw_method_table",
    "draw_mixture",
    "draw_parity",
    "draw_predictions",
    "draw_regret",
    "draw_tradeoff",
    "draw_trellis",
    "explain_diagnostics",
    "fallback_palette",
    "r_squared",
    "save_figure",
    "write_report",
]
