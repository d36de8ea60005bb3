"""Which classes the target answered, as a theft went on."""

from __future__ import annotations

import numpy as np

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note
from gauntlet.report.vocabulary import CELL


@register("figure", "answer_shares")
def answer_shares(
    measurements: Measurements, study: Study, *, methods: list[str] | None = None, columns: int = 3
):
    """A map per method: queries across, classes up, the share of each class in the answers since the last
    measurement, mean over the seeds that have that measurement. A single bright line is mode collapse."""
    answers = measurements.answers
    answers = answers[answers["method"].isin(choose(study, answers, methods))]
    if answers.empty:
        return style.placeholder("No theft was measured.", scale=measurements.scale), answers
    trial = [*CELL, "seed"]
    answers = answers.sort_values([*trial, "queries"])
    answers["measurement"] = answers.groupby(trial)["queries"].transform(lambda q: q.rank(method="dense"))
    total = answers.groupby([*trial, "queries"])["count"].transform("sum")
    answers["share"] = answers["count"] / total
    frame = answers.groupby([*CELL, "measurement", "label"], as_index=False).agg(
        share=("share", "mean"), queries=("queries", "mean"), seeds=("seed", "nunique")
    )
    panels = [
        (block, method) for block in blocks(frame) for method in choose(study, where(frame, block), None)
    ]
    columns = min(columns, len(panels))
    width = style.SINGLE if columns == 1 else style.DOUBLE
    figure, axes = style.grid(-(-len(panels) // columns), columns, width=width, height=1.55)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (block, method) in zip(axes.flat, panels, strict=False):
        here = where(frame, block, method=method)
        shares = here.pivot(index="label", columns="measurement", values="share").to_numpy()
        ends = here.groupby("measurement")["queries"].first().to_numpy()
        edges = np.concatenate([[0.0], ends])
        image = axis.pcolormesh(
            edges, np.arange(len(shares) + 1) - 0.5, shares, cmap="cividis", vmin=0, vmax=1, linewidth=0
        )
        axis.grid(False)
        axis.set(xlabel="queries answered", ylabel="class", yticks=range(0, len(shares), 3))
        name = study.label(method)
        several = len(blocks(frame)) > 1
        axis.set_title(f"{name}: {study.block_label(*block)}" if several else name, loc="left", fontsize=6.5)
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02)
    bar.set_label("share of the answers")
    bar.outline.set_visible(False)
    note = f"mean over {seeds_note(frame)}"
    return style.finish(figure, scale=measurements.scale, note=note), frame
