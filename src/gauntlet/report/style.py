"""One figure style: print sizes, fonts, and one colour and marker per method everywhere."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from gauntlet.report.study import Study
from gauntlet.report.vocabulary import block_label, scale_label

#: Widths in inches: one column of a two-column page, and the whole page.
SINGLE, DOUBLE = 3.4, 7.0

#: Heights in inches of the strip above the panels (footnote and scale).
STRIP = 0.24

#: Okabe and Ito's colour-blind-safe palette (2008) without its yellow, which is too pale for lines.
PALETTE = ["#000000", "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7A5C3E"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*", "d", "8"]
DASHES = ["-", (0, (4, 1.5)), (0, (1, 1.2))]

SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "pdf.fonttype": 42,
    "svg.hashsalt": "gauntlet",
    "figure.dpi": 100,
    "mathtext.fontset": "dejavusans",
}


@dataclass(frozen=True)
class Look:
    """How a method is drawn. ``kwargs`` suits Axes.plot and Axes.errorbar."""

    color: str
    marker: str
    linestyle: object

    @property
    def kwargs(self) -> dict:
        return {"color": self.color, "marker": self.marker, "linestyle": self.linestyle}


def look(study: Study, method: str) -> Look:
    """The method's colour, marker and line. Depends on the study's declaration alone, so it is the same in
    every figure and whichever methods were run."""
    index = list(study.methods).index(method)
    return Look(
        PALETTE[index % len(PALETTE)],
        MARKERS[index % len(MARKERS)],
        DASHES[index // len(PALETTE) % len(DASHES)],
    )


def grid(
    rows: int, columns: int, *, width: float = DOUBLE, height: float = 1.6, legend: float = 0.0, **share
):
    """A figure of rows x columns panels. ``height``: of one row; ``legend``: room below, both in inches.

    Returns: figure, axes (rows, columns) array.
    """
    total = rows * height + STRIP + legend
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, total), squeeze=False, layout="constrained", **share
    )
    bottom = legend / total
    figure.get_layout_engine().set(rect=(0, bottom, 1, 1 - bottom - STRIP / total), h_pad=0.05, w_pad=0.04)
    return figure, axes


def context():
    """Context manager: everything made inside follows the style."""
    return plt.rc_context(SETTINGS)


def finish(figure: Figure, *, scale: str, note: str = "") -> Figure:
    """Write the strip above the panels: what is shown on the left, the scale on the right."""
    height = figure.get_size_inches()[1]
    y = 1 - 0.07 / height
    style = {"va": "top", "fontsize": 6.5, "color": "#555555"}
    figure.text(0.008, y, note, ha="left", **style)
    figure.text(0.992, y, scale_label(scale), ha="right", style="italic", **style)
    return figure


def legend(figure: Figure, handles, labels, columns: int) -> None:
    """One legend for the figure, in the room that ``grid(legend=...)`` kept below the panels."""
    figure.legend(
        handles, labels, loc="lower center", ncols=columns, fontsize=7, handlelength=2.4, columnspacing=1.4
    )


def legend_room(entries: int, columns: int) -> float:
    """Height in inches that a legend needs."""
    return 0.1 + 0.155 * -(-entries // columns)


def block_title(axis, dataset: str, architecture: str) -> None:
    """Name the block above the first panel of its row."""
    axis.set_title(block_label(dataset, architecture), loc="left", fontweight="bold")


def placeholder(message: str, *, scale: str) -> Figure:
    """What is drawn when there is nothing to draw: the reason."""
    figure = plt.figure(figsize=(SINGLE, 1.4))
    figure.text(0.5, 0.45, textwrap.fill(message, 48), ha="center", va="center", color="#555555")
    return finish(figure, scale=scale)
