"""Accuracy of the substitute against the queries that the target answered."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note
from gauntlet.report.vocabulary import CELL

LABELS = {"accuracy": "substitute's test accuracy", "agreement": "agreement with the target"}
PAPER = "#777777"


@register("figure", "accuracy_queries")
def accuracy_queries(
    measurements: Measurements,
    study: Study,
    *,
    methods: list[str] | None = None,
    quantities: list[str] = ("accuracy", "agreement"),
    target: str = "target_accuracy",
    paper: dict[str, dict] | None = None,
    points: int = 60,
):
    """Medians over seeds, with the least and the greatest as a band: an unstable theft shows as a wide one.
    A row of panels per block, a panel per quantity; the target's own accuracy is dotted.

    Seeds are measured at slightly different numbers of queries: at each of ``points`` places a seed counts
    with its latest measurement.

    Args:
        quantities: ``accuracy`` and ``agreement``.
        target: the metric of the target's accuracy.
        paper: dataset -> ``{label: ..., points: [[queries, accuracy], ...]}``, published: crosses where they
            lie among our queries, and an arrow at the right edge for the last where it lies beyond.
    """
    import pandas as pd

    progress = measurements.progress
    progress = progress[progress["method"].isin(choose(study, progress, methods))]
    if progress.empty:
        return style.placeholder("No theft was measured.", scale=measurements.scale), progress
    frame = pd.concat(
        [_bands(progress, quantity, points).assign(quantity=quantity) for quantity in quantities],
        ignore_index=True,
    )
    order, found = choose(study, frame, methods), blocks(frame)
    published = {block: (paper or {}).get(block[0]) for block in found}
    entries = len(order) + 1 + any(published.values())
    width = style.SINGLE if len(quantities) == 1 else style.DOUBLE
    per_row = 3 if width == style.DOUBLE else 2
    figure, axes = style.grid(
        len(found), len(quantities), width=width, height=2.1, legend=style.legend_room(entries, per_row)
    )
    for row, block in zip(axes, found, strict=True):
        for axis, quantity in zip(row, quantities, strict=True):
            lines = where(frame, block, quantity=quantity)
            for method in order:
                _band(axis, lines[lines["method"] == method], style.look(study, method))
            if quantity == "accuracy":
                bound = where(measurements.scores, block, metric=target)["value"]
                if len(bound):
                    axis.axhline(bound.median(), color=PAPER, linestyle=":", linewidth=1)
                if published[block]:
                    _published(axis, published[block]["points"], lines["queries"].max())
            axis.set(xlabel="queries answered", ylabel=LABELS[quantity], ylim=(-0.02, 1.02))
            axis.set_xlim(left=0)
        style.block_title(row[0], study, block)
    handles = [style.handle(style.look(study, method)) for method in order]
    handles.append(Line2D([], [], color=PAPER, linestyle=":"))
    labels = [*(study.label(method) for method in order), "target"]
    if shown := [theirs for theirs in published.values() if theirs]:
        queries, accuracy = shown[0]["points"][-1]
        here = frame["dataset"].isin(list(paper))
        marker = ">" if queries > frame.loc[here, "queries"].max() else "x"
        handles.append(Line2D([], [], color=PAPER, marker=marker, linestyle=""))
        labels.append(f"{shown[0]['label']}: {accuracy:.1%} after {queries / 1e6:.3g} million")
    style.legend(figure, handles, labels, min(per_row, entries))
    note = f"median, least and greatest of {seeds_note(frame)}"
    return style.finish(figure, scale=measurements.scale, note=note), frame


def _published(axis, points: list[list[float]], most: float) -> None:
    """Crosses among our queries, at most ``most``; an arrow where the last lies beyond them."""
    within = [point for point in points if 0 < point[0] <= most]
    if within:
        axis.plot(*zip(*within, strict=True), "x", color=PAPER, markersize=4)
    if len(within) < len(points) and points[-1][0] > most:
        edge = axis.get_yaxis_transform()
        axis.plot([1], [points[-1][1]], ">", color=PAPER, markersize=5, transform=edge, clip_on=False)


def _bands(progress, quantity: str, points: int):
    """Per cell and place: median, least, greatest and number of seeds that were measured by then."""
    import pandas as pd

    found = []
    for cell, trials in progress.groupby(CELL, sort=True):
        places = np.linspace(trials["queries"].min(), trials["queries"].max(), points)
        values = []
        for _, one in trials.sort_values("queries").groupby("seed"):
            at = np.searchsorted(one["queries"].to_numpy(), places, side="right") - 1
            latest = one[quantity].to_numpy()[np.maximum(at, 0)]
            values.append(np.where(at >= 0, latest, np.nan))
        values = np.array(values)
        some = np.isfinite(values).any(axis=0)
        for place, column in zip(places[some], values[:, some].T, strict=True):
            seen = column[np.isfinite(column)]
            found.append((*cell, place, np.median(seen), seen.min(), seen.max(), len(seen)))
    return pd.DataFrame(found, columns=[*CELL, "queries", "median", "least", "greatest", "seeds"])


def _band(axis, line, look: style.Look) -> None:
    dashes = (0, look.dashes) if look.dashes else "-"
    band = {"color": look.color, "alpha": 0.13, "linewidth": 0, "step": "post"}
    axis.fill_between(line["queries"], line["least"], line["greatest"], **band)
    drawn = {"color": look.color, "linestyle": dashes, "linewidth": 1, "drawstyle": "steps-post"}
    axis.plot(line["queries"], line["median"], **drawn)
