"""Lines with 95% bands over a swept quantity: shared by the sweep figures."""

from __future__ import annotations

import pandas as pd
import seaborn as sns

from gauntlet.report import style
from gauntlet.report.budgets import norm
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note, summarise
from gauntlet.report.vocabulary import AXES, CELL, budget_axis

COLUMNS = [*CELL, "metric", "sweep", "x", "mean", "low", "high", "half_width", "seeds"]


def sweep(measurements: Measurements, study: Study, suite: str, metrics: list[str], methods):
    """Summary of one sweep (suite eps, steps or fraction) with the clean score at x = 0.

    Returns: DataFrame with ``COLUMNS``; steps have no point at 0.
    """
    scores = measurements.scores
    scores = scores[(scores["view"] == "ensemble") & scores["metric"].isin(metrics)]
    rows = scores[scores["suite"] == suite]
    rows = rows.assign(x=rows[suite].astype(float))
    if len(rows) and suite in ("eps", "fraction") and not (rows["x"] == 0).any():
        clean = scores[(scores["suite"] == "main") & (scores["attack"] == "clean")]
        swept = rows[[*CELL, "seed", "metric"]].drop_duplicates()
        rows = pd.concat([rows, clean.merge(swept).assign(x=0.0)])
    rows = rows[rows["method"].isin(choose(study, rows, methods))]
    return summarise(rows, [*CELL, "metric", "x"]).assign(sweep=suite)[COLUMNS]


def panels(measurements: Measurements, study: Study, sweeps: list[str], metrics: list[str], methods):
    """One row of panels per block, one column per sweep and metric. Returns figure and DataFrame."""
    frames = [sweep(measurements, study, suite, metrics, methods) for suite in sweeps]
    frame = pd.concat(frames, ignore_index=True)
    return lines(
        measurements,
        study,
        frame,
        [(suite, metric) for suite in sweeps for metric in metrics],
        methods,
        missing=f"No {' or '.join(sweeps)} sweep was measured.",
    )


def lines(
    measurements: Measurements,
    study: Study,
    frame: pd.DataFrame,
    columns: list[tuple[str, str]],
    methods,
    *,
    missing: str,
):
    """One row of panels per block, one per (sweep, metric) of ``columns``. Returns figure and ``frame``.

    Args:
        frame: ``COLUMNS``.
        missing: what the page says when ``frame`` is empty.
    """
    if frame.empty:
        return style.placeholder(missing, scale=measurements.scale), frame
    found = blocks(frame)
    order = choose(study, frame, methods)
    per_row = 6
    room = style.legend_room(len(order), per_row)
    figure, axes = style.grid(len(found), len(columns), height=1.75, legend=room, sharey="row")
    labels = [tuple(_label(measurements, block, suite) for suite, _ in columns) for block in found]
    for row, block, own, below in zip(axes, found, labels, [*labels[1:], None], strict=True):
        here = where(frame, block)
        for axis, (suite, metric), label in zip(row, columns, own, strict=True):
            rows = where(here, sweep=suite, metric=metric)
            if suite == "fraction":
                rows = rows.assign(x=rows["x"] * 100)
            _lines(axis, rows, style.lines(study, order))
            _axes(axis, suite, study.metric_label(metric), sorted(rows["x"].unique()))
            axis.set_xlabel("" if own == below else label)
        top = 1.06 * here[["high", "mean"]].max().max()  # one seed has no interval
        row[0].set_ylim(0, top if here["mean"].max() > 1 else min(1.05, top))
        style.block_title(row[0], study, block)
    handles = [style.handle(style.look(study, method)) for method in order]
    style.legend(figure, handles, [study.label(method) for method in order], min(per_row, len(order)))
    note = f"mean and 95% interval over {seeds_note(frame)}"
    return style.finish(figure, scale=measurements.scale, note=note), frame


def _lines(axis, rows, looks: dict) -> None:
    if rows.empty:
        return style.not_measured(axis)
    for method, line in rows.groupby("method"):
        color = looks["palette"][method]
        axis.fill_between(line["x"], line["low"], line["high"], color=color, alpha=0.15, linewidth=0)
    sns.lineplot(
        rows, x="x", y="mean", **looks, estimator=None, errorbar=None, legend=False, ax=axis,
        markeredgewidth=0, clip_on=False,
    )  # fmt: skip


def _label(measurements: Measurements, block: tuple[str, str, str], suite: str) -> str:
    return budget_axis(norm(measurements, block, suite)) if suite == "eps" else AXES[suite]


def _axes(axis, suite: str, metric: str, ticks: list[float]) -> None:
    axis.set_ylabel(metric, visible=True)  # seaborn hides it where the scale is shared
    if suite == "steps" and ticks:
        axis.set_xscale("log")
        axis.minorticks_off()
        ticks = ticks[:: -(-len(ticks) // 6)]
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    if suite == "epoch":
        axis.xaxis.get_major_locator().set_params(integer=True)
