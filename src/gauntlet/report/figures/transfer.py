"""Transfer between the members of an ensemble, as one heat map per ensemble."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note, summarise
from gauntlet.report.vocabulary import CELL, attack_label


@register("figure", "transfer")
def transfer(
    measurements: Measurements,
    study: Study,
    *,
    methods: list[str] | None = None,
    metric: str = "recall@1",
    attack: str | None = None,
):
    """Suite ``transfer``: row i = attacked member, column j = scored member, mean over seeds.

    ``attack``: the first measured one when None. A row of maps per block.
    """
    scores = measurements.scores
    rows = scores[(scores["suite"] == "transfer") & (scores["metric"] == metric)]
    if attack is None and len(rows):
        attack = sorted(rows["attack"].unique())[0]
    rows = rows[rows["attack"] == attack]
    order = choose(study, rows, methods)
    rows = rows[rows["method"].isin(order)]
    frame = summarise(rows, [*CELL, "attack", "metric", "detail"])
    if frame.empty:
        return style.placeholder(
            "No transfer between members was measured: it needs an ensemble.", scale=measurements.scale
        ), frame
    pairs = frame["detail"].str.split("->", expand=True).astype(int)
    frame = frame.assign(attacked=pairs[0], scored=pairs[1])
    maps = blocks(frame)
    limits = np.floor(frame["mean"].min() * 10) / 10, np.ceil(frame["mean"].max() * 10) / 10
    width = min(style.DOUBLE, 1.3 + 1.65 * len(order))
    figure, axes = style.grid(len(maps), len(order), width=width, height=1.95)
    for row, block in zip(axes, maps, strict=True):
        for axis, method in zip(row, order, strict=True):
            cell = where(frame, block, method=method)
            image = _map(axis, cell, limits)
            axis.set_title(study.label(method))
            axis.set_xlabel("scored member")
        row[0].set_ylabel(f"{study.block_label(*block)}\nattacked member")
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
    bar.set_label(f"{study.metric_label(metric)} under {attack_label(attack)}")
    bar.outline.set_visible(False)
    note = f"mean ± 95% interval over {seeds_note(frame)}"
    return style.finish(figure, scale=measurements.scale, note=note), frame


def _map(axis, cell: pd.DataFrame, limits: tuple[float, float]):
    """Draw one map; returns what a colour bar needs."""
    axis.grid(False)
    size = 1 if cell.empty else int(max(cell["attacked"].max(), cell["scored"].max())) + 1
    members = range(size)
    texts = [_text(row.mean, row.half_width) for row in cell.itertuples()]
    keys = {"index": "attacked", "columns": "scored"}
    values, notes = (
        table.pivot(**keys, values=column).reindex(index=members, columns=members)
        for table, column in ((cell, "mean"), (cell.assign(text=texts), "text"))
    )
    numbers = {"fontsize": 6.5 if size <= 4 else 6, "color": "black"}
    sns.heatmap(
        values.astype(float), vmin=limits[0], vmax=limits[1], cmap=_colours(), cbar=False, square=True,
        annot=notes, fmt="", annot_kws=numbers, linewidths=0.8, ax=axis,
        xticklabels=range(1, size + 1), yticklabels=range(1, size + 1),
    )  # fmt: skip
    if cell.empty:
        style.not_measured(axis)
    axis.tick_params(length=0, labelrotation=0)
    axis.set_ylabel("")
    return axis.collections[0]


def _colours():
    """Light throughout, so that black numbers stay legible in print."""
    return sns.light_palette(style.PALETTE[6], as_cmap=True)


def _text(mean: float, half_width: float) -> str:
    return f"{mean:.2f}" if np.isnan(half_width) else f"{mean:.2f}\n±{half_width:.2f}"
