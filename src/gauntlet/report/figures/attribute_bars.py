"""How well attributes that the task has no need of are inferred."""

from __future__ import annotations

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note, summarise
from gauntlet.report.vocabulary import CELL

#: What an attack is compared with: metric -> the dashes of its line.
REFERENCES = {"imputation": "-", "untrained": (0, (2, 1))}
#: Grey that is seen on black bars and beside them.
REFERENCE = "#999999"
CHANCE = "#777777"

#: Share of an attribute's place that its bars fill.
WIDTH = 0.8


@register("figure", "attribute_bars")
def attribute_bars(
    measurements: Measurements,
    study: Study,
    *,
    attack: str = "representation",
    metric: str = "accuracy",
    references: list[str] = ("imputation", "untrained"),
    chance: float = 0.5,
    methods: list[str] | None = None,
):
    """A panel per block, a group of bars per attribute, a bar per method, means with intervals over seeds.

    Args:
        references: metrics whose means over methods and seeds are drawn across each attribute's bars:
            ``imputation`` and ``untrained``.
        chance: where the dotted line is.
    """
    scores = where(measurements.scores, suite="main", attack=attack)
    rows = scores[scores["metric"].isin([metric, *references]) & (scores["detail"] != "")]
    order = choose(study, rows, methods)
    frame = summarise(rows[rows["method"].isin(order)], [*CELL, "detail", "metric"])
    if frame.empty:
        missing = f"No attribute was attacked by {study.attack_label(attack)}."
        return style.placeholder(missing, scale=measurements.scale), frame
    found = blocks(frame)
    extra = [name for name in REFERENCES if name in references]
    entries = len(order) + len(extra) + 1
    figure, axes = style.grid(len(found), 1, height=1.7, legend=style.legend_room(entries, 4))
    for axis, block in zip(axes[:, 0], found, strict=True):
        here = where(frame, block)
        attributes = sorted(here["detail"].unique())
        of_block = choose(study, here, order)
        for at, attribute in enumerate(attributes):
            bars = where(here, detail=attribute, metric=metric)
            _bars(axis, at, bars.set_index("method"), of_block, study)
            for name in extra:
                means = where(here, detail=attribute, metric=name)["mean"]
                if len(means):
                    ends = (at - WIDTH / 2 - 0.04, at + WIDTH / 2 + 0.04)
                    axis.hlines(means.mean(), *ends, color=REFERENCE, linestyle=REFERENCES[name], zorder=3)
        axis.axhline(chance, color=CHANCE, linestyle=":", linewidth=1, zorder=0)
        axis.set_xticks(range(len(attributes)), [name.replace("_", " ") for name in attributes])
        axis.set_xlim(-0.6, len(attributes) - 0.4)
        axis.set_ylim(top=1.03)
        axis.set_ylabel(f"attack's {study.metric_label(metric)}")
        axis.grid(False, axis="x")
        style.block_title(axis, study, block)
    handles = [Patch(**_fill(style.look(study, method))) for method in order]
    labels = [study.label(method) for method in order]
    for name in extra:
        handles.append(Line2D([], [], color=REFERENCE, linestyle=REFERENCES[name]))
        labels.append(study.metric_label(name))
    handles.append(Line2D([], [], color=CHANCE, linestyle=":"))
    style.legend(figure, handles, [*labels, "chance"], min(4, entries))
    note = f"mean and 95% interval over {seeds_note(frame)}"
    return style.finish(figure, scale=measurements.scale, note=note), frame


def _bars(axis, at: int, rows, order: list[str], study: Study) -> None:
    """One attribute's, each in its method's place whether or not all are there."""
    width = WIDTH / len(order)
    for place, method in enumerate(order):
        if method in rows.index:
            mean, half = rows.loc[method, ["mean", "half_width"]]
            x = at + (place - (len(order) - 1) / 2) * width
            axis.bar(x, mean, 0.9 * width, **_fill(style.look(study, method)), zorder=1)
            if half == half:
                axis.errorbar(x, mean, half, color="black", elinewidth=0.8, capsize=1.5, zorder=4)


def _fill(look: style.Look) -> dict:
    """Looks of the same colour differ in their lines, and here in their hatches."""
    return {
        "facecolor": look.color,
        "edgecolor": "white",
        "linewidth": 0,
        "hatch": "////" * bool(look.dashes),
    }
