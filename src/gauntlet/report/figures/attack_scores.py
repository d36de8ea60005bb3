"""Attacks side by side, under every defense: one score on an axis."""

from __future__ import annotations

from typing import Literal

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note, summarise
from gauntlet.report.vocabulary import CELL

#: Share of a line over which its dots are spread.
SPREAD = 0.7


@register("figure", "attack_scores")
def attack_scores(
    measurements: Measurements,
    study: Study,
    *,
    metrics: list[str],
    settings: list[str] | None = None,
    methods: list[str] | None = None,
    attacks: list[str] | None = None,
    lines: Literal["attack", "method"] = "attack",
):
    """Dot plot: a row of panels per block, a panel per metric, a line per attack and a dot per method, or the
    other way round.

    Args:
        attacks: all of the study when absent, in its order.
        lines: what has a line; the other one's looks are in the legend.
    """
    rows = measurements.numbers
    shown = [attack for attack in study.attacks if attacks is None or attack in attacks]
    rows = rows[rows["attack"].isin(shown) & rows["metric"].isin(metrics)]
    if settings is not None:
        rows = rows[rows["setting"].isin(settings)]
    order = choose(study, rows, methods)
    frame = summarise(rows[rows["method"].isin(order)], [*CELL, "attack", "metric"])
    if frame.empty:
        return style.placeholder("No attack was measured.", scale=measurements.scale), frame
    dots = "method" if lines == "attack" else "attack"
    every = {"method": order, "attack": [name for name in shown if name in set(frame["attack"])]}
    label = {"method": study.label, "attack": study.attack_label}
    looks = {"method": style.look, "attack": style.attack_look}
    here = {
        block: {kind: [name for name in names if name in set(where(frame, block)[kind])]
                for kind, names in every.items()}
        for block in blocks(frame)
    }  # fmt: skip
    per_line = 0.12 + 0.07 * max(len(names[dots]) for names in here.values())
    heights = [0.6 + per_line * len(names[lines]) for names in here.values()]
    several = len(every[dots]) > 1
    figure, axes = style.grid(
        len(here),
        len(metrics),
        height=sum(heights) / len(heights),
        legend=style.legend_room(len(every[dots]), 4) if several else 0.0,
        sharey="row",
        gridspec_kw={"height_ratios": heights},
    )
    for row, (block, names) in zip(axes, here.items(), strict=True):
        for axis, metric in zip(row, metrics, strict=True):
            for point in where(frame, block, metric=metric).itertuples():
                among = len(names[dots]) - 1
                place = names[dots].index(getattr(point, dots)) / among - 0.5 if among else 0
                y = names[lines].index(getattr(point, lines)) + SPREAD * place
                look = looks[dots](study, getattr(point, dots))
                style.point(axis, look, point.mean, y, xerr=point.half_width)
            axis.set_xlabel(study.metric_label(metric))
        style.block_title(row[0], study, block)
        row[0].set_yticks(range(len(names[lines])), [label[lines](name) for name in names[lines]])
        row[0].set_ylim(len(names[lines]) - 0.4, -0.6)
    if several:
        handles = [style.handle(looks[dots](study, name)) for name in every[dots]]
        style.legend(figure, handles, [label[dots](name) for name in every[dots]], min(4, len(handles)))
    note = f"mean and 95% interval over {seeds_note(frame)}"
    return style.finish(figure, scale=measurements.scale, note=note), frame
