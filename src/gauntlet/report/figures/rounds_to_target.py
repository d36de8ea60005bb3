"""Rounds to 99% of random selection's best accuracy, by method and setting."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note, summarise
from gauntlet.report.vocabulary import CELL


@register("figure", "rounds_to_target")
def rounds_to_target(
    measurements: Measurements,
    study: Study,
    *,
    metric: str = "r@99",
    methods: list[str] | None = None,
    settings: list[str] | None = None,
    per_row: int = 3,
):
    """Dot plot: a panel per block, a line per method; seeds as light dots, mean and interval over them."""
    scores = measurements.scores
    rows = scores[scores["metric"] == metric]
    if settings is not None:
        rows = rows[rows["setting"].isin(settings)]
    rows = rows[rows["method"].isin(choose(study, rows, methods))]
    frame = summarise(rows, CELL)
    if frame.empty:
        return style.placeholder(
            f"{study.metric_label(metric)} was not measured.", scale=measurements.scale
        ), frame
    order, found = choose(study, frame, methods), blocks(frame)
    columns = min(per_row, len(found))
    figure, axes = style.grid(
        -(-len(found) // columns), columns, height=0.62 + 0.17 * len(order), sharey=True, sharex=True
    )
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    for axis, block in zip(axes.flat, found, strict=False):
        points, means = where(rows, block), where(frame, block).set_index("method")
        for y, method in enumerate(order):
            if method not in means.index:
                continue
            look, mean = style.look(study, method), means.loc[method]
            seeds = points.loc[points["method"] == method, "value"]
            axis.plot(
                seeds, [y] * len(seeds), "o", color=look.color, alpha=0.3, markersize=3, markeredgewidth=0
            )
            style.point(axis, look, mean["mean"], y, xerr=mean["half_width"])
        axis.set_title(study.block_label(*block), loc="left", fontsize=6.5)
        axis.set_xlabel(study.metric_label(metric))
        axis.tick_params(labelbottom=True)
        axis.set_xlim(left=0)
    axes[0, 0].set_yticks(range(len(order)), [study.label(method) for method in order])
    axes[0, 0].set_ylim(len(order) - 0.4, -0.6)
    note = f"dots: seeds; mean and 95% interval over {seeds_note(frame)}"
    return style.finish(figure, scale=measurements.scale, note=note), frame
