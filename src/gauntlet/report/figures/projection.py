"""Two-dimensional maps (t-SNE) of test embeddings, clean above attacked, a column per method."""

from __future__ import annotations

import seaborn as sns
from matplotlib.lines import Line2D

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import choose
from gauntlet.report.vocabulary import BLOCK, CELL, attack_label


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

    The coordinates have no unit. R@1 of the shown seed is printed below each panel.
    """
    rows = measurements.projections
    rows = rows[rows["attack"].isin(["clean", attack])]
    order = choose(study, rows, methods)
    rows = rows[rows["method"].isin(order)]
    rows = rows[rows["seed"] == rows.groupby(CELL)["seed"].transform("min")]
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
        height=1.5,
        legend=0.16 * len(labels) + 0.06,
    )
    for index, (row, (block, name)) in enumerate(zip(axes, lines, strict=True)):
        for axis, method in zip(row, order, strict=True):
            cell = where(frame, block, method=method)
            _panel(axis, cell, name, labels[block], _recall(measurements, block, method, name, cell))
            if index == 0:
                axis.set_title(study.label(method), fontweight="bold")
        row[0].set_ylabel(f"{study.block_label(*block)}\n{attack_label(name)}")
    _legends(figure, study, labels)
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
        style.not_measured(axis)
        return
    sns.scatterplot(
        where(cell, attack=name), x="x", y="y", hue="label", palette=_colours(labels), legend=False, ax=axis,
        s=5, alpha=0.75, linewidth=0,
    )  # fmt: skip
    for key, limit in (("x", axis.set_xlim), ("y", axis.set_ylim)):
        margin = 0.06 * (cell[key].max() - cell[key].min() or 1)
        limit(cell[key].min() - margin, cell[key].max() + margin)
    axis.set_xlabel("" if recall is None else f"R@1 {recall:.2f}", fontsize=6.5, labelpad=2, visible=True)
    axis.set_ylabel("", visible=True)  # seaborn hides the labels of axes without ticks


def _recall(measurements: Measurements, block, method: str, attack: str, cell) -> float | None:
    if cell.empty:
        return None
    found = where(
        measurements.scores,
        block,
        method=method,
        seed=cell["seed"].iloc[0],
        suite="main",
        attack=attack,
        view="ensemble",
        metric="recall@1",
    )
    return float(found["value"].iloc[0]) if len(found) else None


def _legends(figure, study: Study, labels: dict) -> None:
    """One line of class numbers per block: the classes of the test half differ between datasets."""
    height = figure.get_size_inches()[1]
    for index, (block, numbers) in enumerate(reversed(labels.items())):
        handles = [
            Line2D([], [], color=colour, marker="o", linestyle="", markersize=3.5)
            for colour in _colours(numbers).values()
        ]
        y = (0.1 + 0.16 * index) / height
        figure.legend(
            handles,
            [f"class {number}" for number in numbers],
            loc="center",
            bbox_to_anchor=(0.5, y),
            ncols=len(numbers),
            borderpad=0,
            handletextpad=0.2,
            columnspacing=1.2,
            fontsize=6.5,
        )
        figure.text(0.008, y, study.block_label(*block), va="center", fontsize=6.5)


def _colours(labels: list[int]) -> dict[int, str]:
    return dict(zip(labels, style.PALETTE, strict=False))


def _zip(frame, columns):
    return zip(*(frame[column] for column in columns), strict=True)
