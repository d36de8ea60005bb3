"""How many members an attack finds at every rate of false alarms, both axes logarithmic."""

from __future__ import annotations

from matplotlib.lines import Line2D

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note, summarise
from gauntlet.report.vocabulary import CELL

CHANCE = "#777777"


@register("figure", "roc")
def roc(
    measurements: Measurements,
    study: Study,
    *,
    attack: str = "loss",
    methods: list[str] | None = None,
    columns: int = 3,
):
    """One attack on membership: a panel per block, a line per method, the mean over seeds with its interval
    as a band. Chance is dotted. The least rate of a panel is that of a single false alarm."""
    rows = where(measurements.roc, attack=attack)
    order = choose(study, rows, methods)
    frame = summarise(rows[rows["method"].isin(order)], [*CELL, "attack", "fpr"], value="tpr")
    if frame.empty:
        missing = f"No curve of the attack {study.attack_label(attack)} was measured."
        return style.placeholder(missing, scale=measurements.scale), frame
    found = blocks(frame)
    columns = min(columns, len(found))
    per_row = 2 if columns == 1 else 4
    figure, axes = style.grid(
        -(-len(found) // columns),
        columns,
        width=style.SINGLE if columns == 1 else style.DOUBLE,
        height=2.2,
        legend=style.legend_room(len(order) + 1, per_row),
    )
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    for axis, block in zip(axes.flat, found, strict=False):
        here = where(frame, block)
        floor = here["fpr"].min()
        for method in choose(study, here, order):
            _line(axis, where(here, method=method), style.look(study, method), floor)
        axis.plot([floor, 1], [floor, 1], ":", color=CHANCE, linewidth=1)
        axis.set(xscale="log", yscale="log", xlim=(floor, 1), ylim=(floor, 1.08))
        axis.set(xlabel="false positive rate", ylabel="true positive rate")
        style.block_title(axis, study, block)
    handles = [style.handle(style.look(study, method)) for method in order]
    handles.append(Line2D([], [], color=CHANCE, linestyle=":"))
    labels = [*(study.label(method) for method in order), "chance"]
    style.legend(figure, handles, labels, min(per_row, len(labels)))
    note = f"{study.attack_label(attack)}: mean and 95% interval over {seeds_note(frame)}"
    return style.finish(figure, scale=measurements.scale, note=note), frame


def _line(axis, line, look: style.Look, floor: float) -> None:
    """What is below the axis, 0 above all, lies on its edge."""
    line = line.sort_values("fpr")
    dashes = (0, look.dashes) if look.dashes else "-"
    axis.plot(
        line["fpr"], line["mean"].clip(lower=floor), color=look.color, linestyle=dashes, linewidth=1.2,
        marker=look.marker, markersize=3, markevery=4, markeredgewidth=0,
    )  # fmt: skip
    low, high = (line[side].clip(lower=floor, upper=1) for side in ("low", "high"))
    axis.fill_between(line["fpr"], low, high, color=look.color, alpha=0.15, linewidth=0)
