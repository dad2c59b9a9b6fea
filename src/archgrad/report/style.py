"""What all plots share: colours, the look of axes, notes on them."""

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7A5C00")
"""The colours of Okabe and Ito, which the colour-blind can tell apart; their yellow, faint on white, is darkened."""

INK = "#1F2328"
GREY = "#8C8C8C"

PAGE = 10.2
"""The width of the page of a report, in inches; wider pictures are shrunk to it."""


def make_figure(width: float, height: float) -> Figure:
    """A white figure of that many inches, which needs no display."""
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes) -> None:
    """Leave of the frame only what is read from."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.grid(color="#E6E8EB", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, color=GREY, labelcolor=INK)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=False))


def say(axes: Axes, text: str) -> None:
    """Write in the place of a plot that there is nothing to draw."""
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY, fontsize=10)
