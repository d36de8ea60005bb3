"""Test accuracy and the Maverick's share of the Shapley value against the round."""

from __future__ import annotations

import numpy as np

from gauntlet.core.registry import register
from gauntlet.report import rounds, style
from gauntlet.report.derived.contribution_shares import from_zero, share, with_mavericks
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note, summarise
from gauntlet.report.vocabulary import CELL

ACCURACY, SHARE = "#777777", "#0072B2"


@register("figure", "contribution_rounds")
def contribution_rounds(
    measurements: Measurements,
    study: Study,
    *,
    methods: list[str] | None = None,
    measure: str = "shapley_from_zero",
    bins: int = 10,
):
    """A panel per block and method: accuracy on the left axis, the share on the right one.

    The share is the Maverick's sum of values over everybody's in the same rounds, in ``bins`` equal parts of
    the run, over rounds in which a Maverick took part; dotted: 1/K, the average client, and dash-dotted the
    Maverick's share of the images.
    """
    import pandas as pd

    used = from_zero(with_mavericks(measurements.picks, measurements.clients), measurements.rounds)
    order = choose(study, used, methods)
    used = used[used["method"].isin(order)]
    if used.empty:
        return style.placeholder("No contribution was measured.", scale=measurements.scale), used
    used = used.assign(bin=((used["round"] - 1) * bins // used["length"]).clip(upper=bins - 1))
    group = [*CELL, "seed", "bin"]
    parts = {"share": share(used, measure, group), "images": share(used, "samples", group)}
    length = used["length"].max()
    shares = summarise(parts["share"], [*CELL, "bin"]).assign(quantity="share")
    images = summarise(parts["images"], [*CELL, "bin"]).assign(quantity="images")
    shares["round"], images["round"] = ((f["bin"] + 0.5) * length / bins for f in (shares, images))
    curve = summarise(rounds.accuracy(measurements.rounds), [*CELL, "round"]).assign(quantity="accuracy")
    average = 1 / used.groupby([*CELL, "seed", "round"])["client"].nunique().median()
    panels = [
        (block, method)
        for block in blocks(shares)
        for method in order
        if len(where(shares, block, method=method))
    ]
    columns = min(2, len(panels))
    figure, axes = style.grid(-(-len(panels) // columns), columns, height=2.0)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (block, method) in zip(axes.flat, panels, strict=False):
        line, points, image = (where(frame, block, method=method) for frame in (curve, shares, images))
        axis.plot(line["round"], line["mean"], color=ACCURACY)
        axis.set(xlabel="round", ylabel="test accuracy", ylim=(0, 1))
        right = axis.twinx()
        right.grid(False)
        right.spines["right"].set_visible(True)
        error = points["half_width"].to_numpy()
        right.errorbar(
            points["round"], points["mean"], yerr=np.where(np.isnan(error), 0, error), color=SHARE,
            marker="o", capsize=1.8, elinewidth=0.9,
        )  # fmt: skip
        right.axhline(average, color=SHARE, linestyle=":", linewidth=1)
        right.plot(image["round"], image["mean"], color=SHARE, linestyle="-.", linewidth=0.8)
        right.set_ylabel("Maverick's share of Shapley value", color=SHARE)
        axis.set_title(f"{study.block_label(*block)}\n{study.label(method)}", loc="left", fontsize=6.5)
    numbers = pd.concat([shares, images, curve[curve["method"].isin(order)]], ignore_index=True)
    note = f"mean, 95% interval over {seeds_note(shares)}; dotted: average client; dash-dotted: its images"
    return style.finish(figure, scale=measurements.scale, note=note), numbers.drop(columns="bin")
