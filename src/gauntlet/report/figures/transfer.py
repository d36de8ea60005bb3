"""Transfer between the members of an ensemble, as one heat map per ensemble."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study
from gauntlet.report.summary import choose, seeds_note, summarise
from gauntlet.report.vocabulary import BLOCK, attack_label, block_label, metric_label


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

    ``attack``: the first measured one when None. A row of maps per dataset x architecture.
    """
    scores = measurements.scores
    rows = scores[(scores["suite"] == "transfer") & (scores["metric"] == metric)]
    if attack is None and len(rows):
        attack = sorted(rows["attack"].unique())[0]
    rows = rows[rows["attack"] == attack]
    order = choose(study, rows, methods)
    rows = rows[rows["method"].isin(order)]
    frame = summarise(rows, [*BLOCK, "method", "attack", "metric", "detail"])
    if frame.empty:
        return style.placeholder(
            "No transfer between members was measured: it needs an ensemble.", scale=measurements.scale
        ), frame
    pairs = frame["detail"].str.split("->", expand=True).astype(int)
    frame = frame.assign(attacked=pairs[0], scored=pairs[1])
    blocks = list(dict.fromkeys(zip(*(frame[key] for key in BLOCK), strict=True)))
    limits = np.floor(frame["mean"].min() * 10) / 10, np.ceil(frame["mean"].max() * 10) / 10
    width = min(style.DOUBLE, 0.8 + 2.0 * len(order))
    figure, axes = style.grid(len(blocks), len(order), width=width, height=1.95)
    for row, block in zip(axes, blocks, strict=True):
        for axis, method in zip(row, order, strict=True):
            cell = frame[
                (frame["dataset"] == block[0])
                & (frame["architecture"] == block[1])
                & (frame["method"] == method)
            ]
            image = _map(axis, cell, limits)
            axis.set_title(study.label(method), fontsize=7)
            axis.set_xlabel("scored member")
        row[0].set_ylabel(f"{block_label(*block)}\nattacked member")
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
    bar.set_label(f"{metric_label(metric)} under {attack_label(attack)}")
    bar.outline.set_visible(False)
    return style.finish(figure, scale=measurements.scale, note=f"± 95%, {seeds_note(frame)}"), frame


def _map(axis, cell: pd.DataFrame, limits: tuple[float, float]):
    low, high = limits
    axis.grid(False)
    axis.spines[:].set_visible(False)
    size = 1 if cell.empty else int(max(cell["attacked"].max(), cell["scored"].max())) + 1
    values = np.full((size, size), np.nan)
    for row in cell.itertuples():
        values[row.attacked, row.scored] = row.mean
        half = "" if np.isnan(row.half_width) else f"\n±{row.half_width:.2f}"
        axis.text(
            row.scored,
            row.attacked,
            f"{row.mean:.2f}{half}",
            ha="center",
            va="center",
            fontsize=6.5 if size <= 4 else 5,
            color="white" if row.mean < (low + high) / 2 else "black",
        )
    if cell.empty:
        axis.text(0, 0, "not measured", ha="center", va="center", color="#555555")
    axis.set_xticks(range(size), range(1, size + 1))
    axis.set_yticks(range(size), range(1, size + 1))
    axis.tick_params(length=0)
    return axis.imshow(values, vmin=low, vmax=high, cmap="cividis")
