"""Two-dimensional maps (t-SNE) of test embeddings, clean above attacked, a column per method."""

from __future__ import annotations

from matplotlib.lines import Line2D

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study
from gauntlet.report.summary import choose
from gauntlet.report.vocabulary import BLOCK, attack_label, block_label


@register("figure", "projection")
def projection(
    measurements: Measurements,
    study: Study,
    *,
    methods: list[str] | None = None,
    attack: str = "joint_pair",
    classes: int = 8,
):
    """Table ``projections``, smallest seed kept; the first ``classes`` labels, so that colours stay distinct.

    The coordinates have no unit. R@1 of the shown seed is printed in each panel.
    """
    rows = measurements.projections
    rows = rows[rows["attack"].isin(["clean", attack])]
    order = choose(study, rows, methods)
    rows = rows[rows["method"].isin(order)]
    rows = rows[rows["seed"] == rows.groupby([*BLOCK, "method"])["seed"].transform("min")]
    labels = {block: sorted(part["label"].unique())[:classes] for block, part in rows.groupby(BLOCK)}
    if not labels:
        message = "No projection was kept: none of these methods has run with a projection seed."
        return style.placeholder(message, scale=measurements.scale), rows
    frame = rows[
        [
            label in labels[block]
            for *block, label in _zip(rows, [*BLOCK, "label"])
            for block in [tuple(block)]
        ]
    ].reset_index(drop=True)
    lines = [(block, name) for block in labels for name in ("clean", attack)]
    figure, axes = style.grid(
        len(lines),
        len(order),
        height=style.DOUBLE / max(4, len(order)) * 0.86,
        legend=0.16 * len(labels) + 0.06,
    )
    for index, (row, (block, name)) in enumerate(zip(axes, lines, strict=True)):
        for axis, method in zip(row, order, strict=True):
            cell = _where(frame, dataset=block[0], architecture=block[1], method=method)
            _panel(axis, cell, name, labels[block], _recall(measurements, block, method, name, cell))
            if index == 0:
                axis.set_title(study.label(method), fontweight="bold")
        row[0].set_ylabel(f"{block_label(*block)}\n{attack_label(name)}")
    _legends(figure, labels)
    seeds = ", ".join(str(seed) for seed in sorted(frame["seed"].unique()))
    return style.finish(
        figure, scale=measurements.scale, note=f"one seed ({seeds}); axes have no unit"
    ), frame


def _panel(axis, cell, name: str, labels: list[int], recall: float | None) -> None:
    axis.grid(False)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(True)
    axis.spines[:].set_color("#BBBBBB")
    if cell.empty:
        axis.text(
            0.5, 0.5, "not measured", ha="center", va="center", transform=axis.transAxes, color="#555555"
        )
        return
    for label, colour in zip(labels, style.PALETTE, strict=False):
        points = cell[(cell["attack"] == name) & (cell["label"] == label)]
        axis.scatter(points["x"], points["y"], s=5, color=colour, alpha=0.75, linewidths=0)
    for low, high, limit in (("x", "x", axis.set_xlim), ("y", "y", axis.set_ylim)):
        margin = 0.06 * (cell[high].max() - cell[low].min() or 1)
        limit(cell[low].min() - margin, cell[high].max() + margin)
    if recall is not None:
        box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1}
        axis.text(0.03, 0.03, f"R@1 {recall:.2f}", transform=axis.transAxes, fontsize=6.5, bbox=box)


def _recall(measurements: Measurements, block, method: str, attack: str, cell) -> float | None:
    if cell.empty:
        return None
    found = _where(
        measurements.scores,
        dataset=block[0],
        architecture=block[1],
        method=method,
        seed=cell["seed"].iloc[0],
        suite="main",
        attack=attack,
        view="ensemble",
        metric="recall@1",
    )
    return float(found["value"].iloc[0]) if len(found) else None


def _legends(figure, labels: dict) -> None:
    """One line of class numbers per block: the classes of the test half differ between datasets."""
    height = figure.get_size_inches()[1]
    for index, (block, numbers) in enumerate(reversed(labels.items())):
        handles = [
            Line2D([], [], color=colour, marker="o", linestyle="", markersize=3.5)
            for _, colour in zip(numbers, style.PALETTE, strict=False)
        ]
        figure.legend(
            handles,
            [f"class {number}" for number in numbers],
            loc="lower center",
            bbox_to_anchor=(0.5, (0.02 + 0.16 * index) / height),
            ncols=len(numbers) + 1,
            borderpad=0,
            handletextpad=0.2,
            columnspacing=1.2,
            fontsize=6.5,
            title=None,
        )
        figure.text(0.008, (0.055 + 0.16 * index) / height, block_label(*block), fontsize=6.5)


def _zip(frame, columns):
    return zip(*(frame[column] for column in columns), strict=True)


def _where(frame, **values):
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame
