"""Clean and attacked scores against a number in which methods differ, such as the size of an ensemble."""

from __future__ import annotations

import textwrap

import pandas as pd

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, seeds_note, summarise
from gauntlet.report.vocabulary import CELL, attack_label


@register("figure", "hyperparameter")
def hyperparameter(
    measurements: Measurements,
    study: Study,
    *,
    panels: dict[str, dict[str, float]],
    metrics: list[str] = ("recall@1", "nmi", "f1"),
    attack: str = "worst",
):
    """A row of panels per block, one per number and metric, a point per method in its own look.

    Args:
        attack: beside the clean scores; ``clean`` for these alone.
        panels: what the number is -> method -> the number. Methods that were not measured are left out.

    Raises:
        GauntletError: a panel without methods.
    """
    if empty := [name for name, numbers in panels.items() if not numbers]:
        raise GauntletError(f"no methods in panel {empty[0]!r}", remedy="give each of its methods a number")
    scores = measurements.scores
    rows = scores[
        (scores["suite"] == "main")
        & (scores["view"] == "ensemble")
        & scores["attack"].isin(["clean", attack])
        & scores["metric"].isin(list(metrics))
    ]
    parts = [
        rows[rows["method"].isin(numbers)].assign(number=name, x=rows["method"].map(numbers).astype(float))
        for name, numbers in panels.items()
    ]
    frame = summarise(pd.concat(parts), [*CELL, "number", "x", "attack", "metric"])
    if frame.empty:
        missing = f"No clean or {attack_label(attack)} score of these methods was measured."
        return style.placeholder(missing, scale=measurements.scale), frame
    found = blocks(frame)
    columns = [(name, metric) for name in panels for metric in metrics]
    room = style.legend_room(1, 2) if attack != "clean" else 0.0
    figure, axes = style.grid(len(found), len(columns), height=1.6, legend=room, sharey="row", sharex="col")
    for index, (row, block) in enumerate(zip(axes, found, strict=True)):
        for axis, (name, metric) in zip(row, columns, strict=True):
            _panel(axis, where(frame, block, number=name, metric=metric), study, attack)
            ticks = sorted(panels[name].values())
            axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axis.set_xlim(ticks[0] - 0.3, ticks[-1] + 0.3)
            axis.set_xlabel(textwrap.fill(name, 72 // len(columns)) if index == len(found) - 1 else "")
            axis.set_ylabel(study.metric_label(metric), visible=True)
        row[0].set_ylim(0, 1.03)
        style.block_title(row[0], study, block)
    if attack != "clean":
        style.clean_and_attacked(figure, attack)
    note = f"mean and 95% interval over {seeds_note(frame)}"
    return style.finish(figure, scale=measurements.scale, note=note), frame


def _panel(axis, rows, study: Study, attack: str) -> None:
    if rows.empty:
        return style.not_measured(axis)
    for name, line in {"clean": "--", attack: "-"}.items():
        points = where(rows, attack=name).sort_values("x")
        axis.plot(points["x"], points["mean"], line, color="#888888", linewidth=0.8, zorder=1)
        for point in points.itertuples():
            look = style.look(study, point.method)
            style.point(axis, look, point.x, point.mean, filled=name == attack, yerr=point.half_width)
