"""Every method's clean score and its score under the worst attack, with intervals."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note, summarise
from gauntlet.report.vocabulary import CELL, attack_label

#: Clean lies this far above its method's line and attacked below (in lines): wide intervals stay apart.
SHIFT = 0.17


@register("figure", "comparison")
def comparison(
    measurements: Measurements,
    study: Study,
    *,
    metrics: list[str] = ("recall@1", "nmi", "f1"),
    methods: list[str] | None = None,
    attack: str = "worst",
):
    """Dot plot: a row of panels per block, a panel per metric, a line per method; on several pages where one
    is too small."""
    scores = measurements.scores
    rows = scores[
        (scores["suite"] == "main")
        & (scores["view"] == "ensemble")
        & scores["attack"].isin(["clean", attack])
        & scores["metric"].isin(list(metrics))
    ]
    order = choose(study, rows, methods)
    frame = summarise(rows[rows["method"].isin(order)], [*CELL, "attack", "metric"])
    if frame.empty:
        return style.placeholder(
            f"No clean or {attack_label(attack)} score was measured.", scale=measurements.scale
        ), frame
    found = blocks(frame)
    lines = {block: choose(study, where(frame, block), order) for block in found}
    note = f"mean and 95% interval over {seeds_note(frame)}"
    drawn = []
    for page in _pages(lines):
        figure = _page(frame, study, {block: lines[block] for block in page}, list(metrics), attack)
        drawn.append(style.finish(figure, scale=measurements.scale, note=note))
    return drawn[0] if len(drawn) == 1 else drawn, frame


def _height(counts: list[int]) -> float:
    """Of a row of panels in inches, on a page of blocks with so many methods."""
    return 0.55 + 0.19 * sum(counts) / len(counts)


def _pages(lines: dict[tuple[str, str, str], list[str]]) -> list[list[tuple[str, str, str]]]:
    """The blocks that each page has room for."""
    pages, free = [], 0.0
    for block, methods in lines.items():
        height = _height([len(methods)])
        if height > free:
            pages.append([])
            free = style.PAGE
        pages[-1].append(block)
        free -= height
    return pages


def _page(frame, study: Study, lines: dict, metrics: list[str], attack: str):
    counts = [len(of_block) for of_block in lines.values()]
    figure, axes = style.grid(
        len(lines),
        len(metrics),
        height=_height(counts),
        legend=style.legend_room(1, 2),
        sharey="row",
        sharex=True,
        gridspec_kw={"height_ratios": [count + 0.2 for count in counts]},
    )
    for row, (block, of_block) in zip(axes, lines.items(), strict=True):
        for axis, metric in zip(row, metrics, strict=True):
            rows = where(frame, block, metric=metric)
            _panel(axis, rows.set_index(["method", "attack"]), of_block, study, attack)
            axis.set_xlabel(study.metric_label(metric))
            axis.tick_params(labelbottom=True)
        style.block_title(row[0], study, block)
        row[0].set_yticks(range(len(of_block)), [study.label(method) for method in of_block])
        row[0].set_ylim(len(of_block) - 0.4, -0.6)
    style.clean_and_attacked(figure, attack)
    return figure


def _panel(axis, rows, order: list[str], study: Study, attack: str) -> None:
    axis.set_xlim(-0.03, 1.03)
    axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    for y, method in enumerate(order):
        for name, filled, shift in (("clean", False, -SHIFT), (attack, True, SHIFT)):
            if (method, name) in rows.index:
                mean, half = rows.loc[(method, name), ["mean", "half_width"]]
                style.point(axis, style.look(study, method), mean, y + shift, filled=filled, xerr=half)
