"""How often the Maverick is picked in each quarter of the rounds, against FedEMD's formula."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note, summarise
from gauntlet.report.vocabulary import CELL

QUARTERS = [f"picks@q{quarter}" for quarter in range(1, 5)]


@register("figure", "maverick_picks")
def maverick_picks(
    measurements: Measurements,
    study: Study,
    *,
    methods: list[str] | None = None,
    settings: list[str] | None = None,
    theory: dict[str, dict[str, float]] | None = None,
    per: int = 50,
):
    """Points with intervals by quarter; a panel per block.

    Args:
        theory: method -> its ``alpha`` and ``beta``: crosses where ``softmax((alpha - t beta) d)`` lies, with
            d the clients' distances from the balanced histogram: what the formula tends to once the
            current distribution is balanced.
        per: the metric counts picks per this many rounds.
    """
    import pandas as pd

    scores = measurements.scores
    rows = scores[scores["metric"].isin(QUARTERS)]
    if settings is not None:
        rows = rows[rows["setting"].isin(settings)]
    rows = rows[rows["method"].isin(choose(study, rows, methods))]
    frame = summarise(rows, [*CELL, "metric"]).assign(theory=False)
    if frame.empty:
        return style.placeholder("There was no Maverick to pick.", scale=measurements.scale), frame
    frame["quarter"] = frame["metric"].str[-1].astype(int)
    order, found = choose(study, frame, methods), blocks(frame)
    columns = min(2, len(found))
    width = style.SINGLE if columns == 1 else style.DOUBLE
    figure, axes = style.grid(
        -(-len(found) // columns), columns, width=width, height=2.0,
        legend=style.legend_room(len(order) + bool(theory), 3 * columns),
    )  # fmt: skip
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    extra = []
    for axis, block in zip(axes.flat, found, strict=False):
        for index, method in enumerate(order):
            line, look = where(frame, block, method=method), style.look(study, method)
            if line.empty:
                continue
            place = line["quarter"] + (index - (len(order) - 1) / 2) * 0.09
            axis.errorbar(
                place, line["mean"], yerr=line["half_width"].fillna(0), color=look.color, marker=look.marker,
                linestyle=(0, look.dashes) if look.dashes else "-", linewidth=0.8, elinewidth=0.9,
                capsize=1.8,
            )  # fmt: skip
            if theory and method in theory:
                expected = _theory(measurements, block, method, theory[method], per)
                axis.plot(
                    place.to_numpy(), expected, "x", color=look.color, markersize=6, markeredgewidth=1.2
                )
                extra.append(
                    line.assign(mean=expected, low=np.nan, high=np.nan, half_width=np.nan, theory=True)
                )
        axis.set_xticks([1, 2, 3, 4])
        axis.set(xlabel="quarter of the rounds", ylabel=f"picks of a Maverick per {per} rounds")
        axis.set_ylim(bottom=0)
        axis.set_title(study.block_label(*block), loc="left", fontsize=6.5)
    handles = [style.handle(style.look(study, method)) for method in order]
    labels = [study.label(method) for method in order]
    if theory:
        handles.append(Line2D([], [], color="#444444", marker="x", linestyle="", markersize=6))
        labels.append("formula")
    style.legend(figure, handles, labels, min(3 * columns, len(handles)))
    note = f"mean and 95% interval over {seeds_note(frame)}"
    numbers = pd.concat([frame, *extra], ignore_index=True).drop(columns="quarter")
    return style.finish(figure, scale=measurements.scale, note=note), numbers


def _theory(measurements, block, method: str, coefficients: dict[str, float], per: int) -> np.ndarray:
    """(4,) expected picks of a Maverick per ``per`` rounds in each quarter, at most one a round."""
    picks = where(measurements.picks, block, method=method)
    seed = picks["seed"].min()
    clients = where(measurements.clients, block, method=method, seed=seed)
    histograms = clients.pivot(index="client", columns="label", values="samples").to_numpy()
    mavericks = np.sort(clients.loc[clients["maverick"], "client"].unique())
    spread = histograms.std(axis=0) / np.maximum(histograms.mean(axis=0), 1e-12)
    balanced = histograms / histograms[:, spread.argmin()].mean()
    distance = np.abs(balanced - 1).mean(axis=1)  # sorted entries, against all ones
    rounds = np.arange(1, picks["round"].max() + 1)
    logits = (coefficients["alpha"] - rounds[:, None] * coefficients["beta"]) * distance
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    share = (weights / weights.sum(axis=1, keepdims=True))[:, mavericks].mean(axis=1)
    selected = where(picks, picked=True, seed=seed).groupby("round").size().median()
    chance = 1 - (1 - share) ** selected
    return per * np.array([part.mean() for part in np.array_split(chance, 4)])
