"""Attacks against a number in which settings differ, such as local steps or the clients' learning rate."""

from __future__ import annotations

import matplotlib.ticker

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import seeds_note, summarise
from gauntlet.report.vocabulary import ARCHITECTURES, DATASETS


@register("figure", "attack_curves")
def attack_curves(
    measurements: Measurements,
    study: Study,
    *,
    number: str,
    settings: dict[str, float],
    metrics: list[str],
    attacks: list[str] | None = None,
    method: str | None = None,
    log: list[str] = (),
    most: dict[str, float] | None = None,
):
    """A row of panels per dataset and architecture that has several of the settings, a panel per metric, a
    line per attack.

    Args:
        number: what the settings' numbers are: the axis label.
        settings: setting -> its number.
        metrics: of the scores, or of what attacks cost.
        attacks: all of the study when absent.
        method: the defense; the study's first when absent.
        log: metrics with a logarithmic axis; ``number`` makes the axis of the numbers one.
        most: metric -> where its axis ends; means above are drawn as triangles at its end.
    """
    rows, method = measurements.numbers, method or next(iter(study.methods))
    shown = [attack for attack in study.attacks if attacks is None or attack in attacks]
    rows = rows[
        rows["setting"].isin(list(settings))
        & rows["attack"].isin(shown)
        & rows["metric"].isin(metrics)
        & (rows["method"] == method)
    ]
    frame = summarise(
        rows.assign(x=rows["setting"].map(settings).astype(float)),
        ["dataset", "architecture", "attack", "metric", "x"],
    )
    frame = frame[frame.groupby(["dataset", "architecture"])["x"].transform("nunique") > 1]
    if frame.empty:
        missing = "No attack was measured in two of these settings."
        return style.placeholder(missing, scale=measurements.scale), frame
    places = list(frame[["dataset", "architecture"]].drop_duplicates().itertuples(index=False, name=None))
    order = [attack for attack in shown if attack in set(frame["attack"])]
    per_row = 3 if len(metrics) > 1 else 2
    width = style.DOUBLE if len(metrics) > 1 else style.SINGLE
    figure, axes = style.grid(
        len(places), len(metrics), width=width, height=2.0, legend=style.legend_room(len(order), per_row)
    )
    for row, (dataset, architecture) in zip(axes, places, strict=True):
        for axis, metric in zip(row, metrics, strict=True):
            here = where(frame, dataset=dataset, architecture=architecture, metric=metric)
            for attack in order:
                _line(axis, here[here["attack"] == attack], style.attack_look(study, attack))
            ticks = sorted(set(here["x"]))
            if "number" in log:
                axis.set_xscale("log")
                axis.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
            axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            if metric in log:
                axis.set_yscale("log")
            if end := (most or {}).get(metric):
                _cut(axis, here, end, study)
            axis.set(xlabel=number, ylabel=study.metric_label(metric))
        names = DATASETS.get(dataset, dataset), ARCHITECTURES.get(architecture, architecture)
        row[0].set_title(", ".join(names), loc="left", fontweight="bold")
    handles = [style.handle(style.attack_look(study, attack)) for attack in order]
    style.legend(figure, handles, [study.attack_label(attack) for attack in order], per_row)
    note = f"{study.label(method)}; mean and 95% interval over {seeds_note(frame)}"
    return style.finish(figure, scale=measurements.scale, note=note), frame


def _line(axis, points, look: style.Look) -> None:
    points = points.sort_values("x")
    dashes = (0, look.dashes) if look.dashes else "-"
    axis.plot(points["x"], points["mean"], color=look.color, linestyle=dashes, linewidth=0.9)
    for point in points.itertuples():
        style.point(axis, look, point.x, point.mean, yerr=point.half_width)


def _cut(axis, points, end: float, study: Study) -> None:
    """End the axis there; what lies above is a triangle at its end."""
    axis.set_ylim(top=end)
    for point in points[points["mean"] > end].itertuples():
        color = style.attack_look(study, point.attack).color
        axis.plot([point.x], [end], "^", color=color, markersize=5, clip_on=False)
