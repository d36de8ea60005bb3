"""Lines with 95% bands over a swept quantity: shared by the sweep figures."""

from __future__ import annotations

import pandas as pd

from gauntlet.report import style
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study
from gauntlet.report.summary import choose, seeds_note, summarise
from gauntlet.report.vocabulary import AXES, BLOCK, metric_label

COLUMNS = [*BLOCK, "method", "metric", "sweep", "x", "mean", "low", "high", "half_width", "seeds"]


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
        swept = set(zip(*(rows[key] for key in (*BLOCK, "method", "seed")), strict=True))
        keep = [key in swept for key in zip(*(clean[k] for k in (*BLOCK, "method", "seed")), strict=True)]
        rows = pd.concat([rows, clean[keep].assign(x=0.0)])
    rows = rows[rows["method"].isin(choose(study, rows, methods))]
    return summarise(rows, [*BLOCK, "method", "metric", "x"]).assign(sweep=suite)[COLUMNS]


def panels(measurements: Measurements, study: Study, sweeps: list[str], metrics: list[str], methods):
    """One row of panels per block, one column per sweep and metric. Returns figure and DataFrame."""
    frames = [sweep(measurements, study, suite, metrics, methods) for suite in sweeps]
    frame = pd.concat(frames, ignore_index=True)
    if frame.empty:
        message = f"No {' or '.join(sweeps)} sweep was measured."
        return style.placeholder(message, scale=measurements.scale), frame
    blocks = list(dict.fromkeys(zip(*(frame[key] for key in BLOCK), strict=True)))
    order = choose(study, frame, methods)
    columns = [(suite, metric) for suite in sweeps for metric in metrics]
    per_row = 6
    room = style.legend_room(len(order), per_row)
    figure, axes = style.grid(len(blocks), len(columns), height=1.75, legend=room, sharey="row")
    handles = {}
    for index, (row, block) in enumerate(zip(axes, blocks, strict=True)):
        for axis, (suite, metric) in zip(row, columns, strict=True):
            rows = _where(frame, dataset=block[0], architecture=block[1], sweep=suite, metric=metric)
            for method in order:
                line = _line(axis, rows[rows["method"] == method], study, method, suite)
                handles.setdefault(method, line)
            _axes(axis, suite, metric, labelled=index == len(blocks) - 1)
        here = _where(frame, dataset=block[0], architecture=block[1])
        row[0].set_ylim(0, 1.06 * max(here["high"].max(), here["mean"].max()))
        style.block_title(row[0], *block)
    style.legend(
        figure, [handles[m] for m in order], [study.label(m) for m in order], min(per_row, len(order))
    )
    note = f"mean and 95% interval over {seeds_note(frame)}"
    return style.finish(figure, scale=measurements.scale, note=note), frame


def _line(axis, rows, study: Study, method: str, suite: str):
    rows = rows.sort_values("x")
    x = rows["x"] * (100 if suite == "fraction" else 1)
    look = style.look(study, method)
    axis.fill_between(x, rows["low"], rows["high"], color=look.color, alpha=0.15, linewidth=0)
    return axis.plot(x, rows["mean"], **look.kwargs, markersize=3.2, clip_on=False)[0]


def _axes(axis, suite: str, metric: str, *, labelled: bool) -> None:
    axis.set_ylabel(metric_label(metric))
    if suite == "steps":
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter("")
    if labelled:
        axis.set_xlabel(AXES[suite])


def _where(frame, **values):
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame
