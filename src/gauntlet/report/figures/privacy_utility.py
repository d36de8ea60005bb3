"""What a federation gives away against what it is good for: a point per method."""

from __future__ import annotations

from matplotlib.lines import Line2D

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note, summarise
from gauntlet.report.vocabulary import CELL

CHANCE = "#777777"


@register("figure", "privacy_utility")
def privacy_utility(
    measurements: Measurements,
    study: Study,
    *,
    attack: str = "loss",
    metric: str = "best_accuracy",
    utility: str = "accuracy",
    chance: float | None = 0.5,
    guess: str | None = None,
    methods: list[str] | None = None,
    columns: int = 3,
):
    """A panel per block: an attack's score across, the clean score up, means with intervals over seeds.
    Best is the upper left.

    Args:
        attack, metric: what is given away; of an attack on attributes the mean over them.
        utility: the metric of ``clean``.
        chance: the attack's score where nothing is given away, dotted; null draws none.
        guess: a metric of the attack, what a guess without the model reaches; where it is above ``chance`` it
            takes its place, attribute by attribute.
    """
    import pandas as pd

    scores = where(measurements.scores, suite="main")
    guessed = None if chance is None or guess is None else where(scores, attack=attack, metric=guess)
    trial = [*CELL, "seed"]
    given = where(scores, attack=attack, metric=metric).groupby(trial, as_index=False)["value"].mean()
    useful = where(scores, attack="clean", metric=utility)[[*trial, "value"]]
    both = given[trial].merge(useful[trial])  # one without the other is no point
    parts = {"privacy": given.merge(both), "utility": useful.merge(both)}
    rows = pd.concat([part.assign(quantity=name) for name, part in parts.items()], ignore_index=True)
    order = choose(study, rows, methods)
    frame = summarise(rows[rows["method"].isin(order)], [*CELL, "quantity"])
    if frame.empty:
        missing = f"{study.metric_label(metric)} of the attack {study.attack_label(attack)} was not measured."
        return style.placeholder(missing, scale=measurements.scale), frame
    found = blocks(frame)
    columns = min(columns, len(found))
    per_row = 2 if columns == 1 else 4
    figure, axes = style.grid(
        -(-len(found) // columns),
        columns,
        width=style.SINGLE if columns == 1 else style.DOUBLE,
        height=1.9,
        legend=style.legend_room(len(order) + (chance is not None), per_row),
    )
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    for axis, block in zip(axes.flat, found, strict=False):
        for method in choose(study, where(frame, block), order):
            x, y = (
                where(frame, block, method=method, quantity=name)[["mean", "half_width"]].iloc[0]
                for name in ("privacy", "utility")
            )
            errors = {"xerr": x["half_width"], "yerr": y["half_width"]}
            style.point(axis, style.look(study, method), x["mean"], y["mean"], **errors)
        if chance is not None:
            nothing = chance if guessed is None else where(guessed, block)["value"].clip(lower=chance).mean()
            axis.axvline(nothing, color=CHANCE, linestyle=":", linewidth=1)
        axis.set_xlabel(f"{study.attack_label(attack)}: {study.metric_label(metric)}")
        axis.set_ylabel(f"test {study.metric_label(utility)}")
        style.block_title(axis, study, block)
    handles = [style.handle(style.look(study, method)) for method in order]
    for handle in handles:
        handle.set_linestyle("")
    labels = [study.label(method) for method in order]
    if chance is not None:
        handles.append(Line2D([], [], color=CHANCE, linestyle=":"))
        labels.append("nothing given away")
    style.legend(figure, handles, labels, min(per_row, len(labels)))
    note = f"mean and 95% interval over {seeds_note(frame)}"
    return style.finish(figure, scale=measurements.scale, note=note), frame
