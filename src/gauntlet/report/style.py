"""One figure style: seaborn's "ticks" theme at print size, and one colour and marker per method everywhere.

This module imports seaborn: only figures may import it.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")

import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gauntlet.report.study import Study
from gauntlet.report.vocabulary import attack_label, scale_label

#: Widths in inches: one column of a two-column page, and the whole page; and the height of a page.
SINGLE, DOUBLE, PAGE = 3.4, 7.0, 9.2

#: The strip above the panels (note and scale) in inches: one line, or two on figures narrower than NARROW.
STRIP, LINE, NARROW = 0.24, 0.12, 4.6

#: Okabe and Ito's colour-blind-safe palette (2008) without its yellow, which is too pale for lines; then five
#: that keep the distance for every kind of colour vision, found by search.
PALETTE = [
    *("#000000", "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7A5C3E"),
    *("#7700EE", "#A8C256", "#771155", "#001177", "#442200"),
]
#: One more than colours, so that the first colour comes back with another marker: a star with four points.
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*", "d", (4, 1, 0)]
#: Dash patterns in line widths, as seaborn takes them: "" is a solid line.
DASHES = ["", (4, 1.5), (1, 1.2)]

#: Brings the fonts of seaborn's "paper" context to 7.5 pt (ticks and legend 6.9 pt).
FONT_SCALE = 0.78

#: What differs from seaborn's theme.
SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine has it
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.markersize": 4,
    "pdf.fonttype": 42,
    "svg.hashsalt": "gauntlet",
    "figure.dpi": 100,
    "mathtext.fontset": "dejavusans",
}


@dataclass(frozen=True)
class Look:
    """How a method is drawn."""

    color: str
    marker: str | tuple
    dashes: tuple | str


def look(study: Study, method: str) -> Look:
    """The method's colour, marker and line. Depends on the study's declaration alone, so it is the same in
    every figure and whichever methods were run."""
    return _look(list(study.methods).index(method))


def attack_look(study: Study, attack: str) -> Look:
    """The same for an attack of the study's own, in figures that compare attacks."""
    return _look(list(study.attacks).index(attack))


def _look(index: int) -> Look:
    return Look(
        PALETTE[index % len(PALETTE)],
        MARKERS[index % len(MARKERS)],
        DASHES[index // len(PALETTE) % len(DASHES)],
    )


def lines(study: Study, order: list[str]) -> dict:
    """The keywords that make seaborn.lineplot draw the column ``method`` in the methods' looks."""
    looks = {method: look(study, method) for method in order}
    return {
        "hue": "method",
        "hue_order": order,
        "palette": {method: each.color for method, each in looks.items()},
        "style": "method",
        "style_order": order,
        "markers": {method: each.marker for method, each in looks.items()},
        "dashes": {method: each.dashes for method, each in looks.items()},
    }


def handle(each: Look) -> Line2D:
    """A line for a legend."""
    line = (0, each.dashes) if each.dashes else "-"
    return Line2D([], [], color=each.color, marker=each.marker, linestyle=line, markeredgewidth=0)


def point(axis, look: Look, x: float, y: float, *, filled: bool = True, **errors: float) -> None:
    """A method's mean with its interval; ``xerr`` or ``yerr`` is its half-width (NaN for none)."""
    axis.errorbar(
        x, y, color=look.color, marker=look.marker, markerfacecolor=look.color if filled else "white",
        elinewidth=0.9, capsize=1.8, **{name: half for name, half in errors.items() if half == half},
    )  # fmt: skip


def clean_and_attacked(figure: Figure, attack: str) -> None:
    """The legend of figures whose points are open for clean scores and filled for attacked ones."""
    dots = [
        Line2D([], [], color="#444444", marker="o", linestyle="", markerfacecolor=face)
        for face in ("white", "#444444")
    ]
    legend(figure, dots, ["clean", attack_label(attack)], 2)


def grid(
    rows: int, columns: int, *, width: float = DOUBLE, height: float = 1.6, legend: float = 0.0, **share
):
    """A figure of rows x columns panels. ``height``: of one row; ``legend``: room below, both in inches.

    Returns: figure, axes (rows, columns) array.
    """
    strip = STRIP + (LINE if width < NARROW else 0)
    total = rows * height + strip + legend
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, total), squeeze=False, layout="constrained", **share
    )
    bottom = legend / total
    figure.get_layout_engine().set(rect=(0, bottom, 1, 1 - bottom - strip / total), h_pad=0.05, w_pad=0.04)
    return figure, axes


def context():
    """Context manager: everything made inside follows the style."""
    theme = sns.axes_style("ticks") | sns.plotting_context("paper", font_scale=FONT_SCALE)
    return plt.rc_context(theme | SETTINGS)


def finish(figure: Figure, *, scale: str, note: str = "") -> Figure:
    """Write the strip above the panels: what is shown on the left, the scale on the right."""
    width, height = figure.get_size_inches()
    y = 1 - 0.07 / height
    style = {"va": "top", "fontsize": 6.5, "color": "#555555"}
    figure.text(0.008, y - (LINE / height if width < NARROW else 0), note, ha="left", **style)
    figure.text(0.992, y, scale_label(scale), ha="right", style="italic", **style)
    return figure


def legend(figure: Figure, handles, labels, columns: int) -> None:
    """One legend for the figure, in the room that ``grid(legend=...)`` kept below the panels."""
    figure.legend(handles, labels, loc="lower center", ncols=columns, handlelength=2.4, columnspacing=1.4)


def legend_room(entries: int, columns: int) -> float:
    """Height in inches that a legend needs."""
    return 0.1 + 0.155 * -(-entries // columns)


def block_title(axis, study: Study, block: tuple[str, str, str]) -> None:
    """Name the block above the first panel of its row."""
    axis.set_title(study.block_label(*block), loc="left", fontweight="bold")


def not_measured(axis) -> None:
    """Say in an empty panel why it is empty."""
    note = {"ha": "center", "va": "center", "color": "#555555"}
    axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, **note)
    axis.set_xticks([])  # y may be shared with panels that hold data


def placeholder(message: str, *, scale: str) -> Figure:
    """What is drawn when there is nothing to draw: the reason."""
    figure = plt.figure(figsize=(SINGLE, 1.4))
    figure.text(0.5, 0.45, textwrap.fill(message, 48), ha="center", va="center", color="#555555")
    return finish(figure, scale=scale)
