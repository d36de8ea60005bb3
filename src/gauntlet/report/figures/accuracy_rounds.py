"""Test accuracy, and recall on the Maverick's class, against the round."""

from __future__ import annotations

from matplotlib.lines import Line2D

from gauntlet.core.registry import register
from gauntlet.report import rounds, style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note, summarise
from gauntlet.report.vocabulary import CELL

LABELS = {"accuracy": "test accuracy", "maverick_recall": "recall on the Maverick's class"}
REFERENCE = "#777777"


@register("figure", "accuracy_rounds")
def accuracy_rounds(
    measurements: Measurements,
    study: Study,
    *,
    methods: list[str] | None = None,
    settings: list[str] | None = None,
    quantities: list[str] = ("accuracy",),
    reference: dict[str, str] | None = None,
):
    """Means over seeds with 95% bands; a row of panels per block, a panel per quantity.

    Args:
        settings: which settings to show; all when absent.
        quantities: ``accuracy`` and ``maverick_recall``.
        reference: ``{setting: ..., method: ..., label: ...}``: one curve of another setting of the same
            dataset and architecture, drawn dashed in every panel of accuracies.
    """
    frame = _frame(measurements, list(quantities))
    shown = frame[frame["method"].isin(choose(study, frame, methods))]
    if settings is not None:
        shown = shown[shown["setting"].isin(settings)]
    if shown.empty:
        return style.placeholder("No round was measured.", scale=measurements.scale), shown
    order = choose(study, shown, methods)
    entries = len(order) + (reference is not None)
    found = blocks(shown)
    width = style.SINGLE if len(quantities) == 1 and len(found) == 1 else style.DOUBLE
    per_row = 6 if width == style.DOUBLE else 3
    figure, axes = style.grid(
        len(found), len(quantities), width=width, height=1.9, legend=style.legend_room(entries, per_row)
    )
    drawn = [shown]
    for row, block in zip(axes, found, strict=True):
        for axis, quantity in zip(row, quantities, strict=True):
            curves = where(shown, block, quantity=quantity)
            if curves.empty:
                style.not_measured(axis)
            for method in order:
                _curve(axis, curves[curves["method"] == method], style.look(study, method))
            if reference is not None and quantity == "accuracy":
                beside = (block[0], reference["setting"], block[2])
                other = where(frame, beside, quantity=quantity, method=reference["method"])
                axis.plot(
                    other["round"], other["mean"], color=REFERENCE, linestyle=(0, (4, 1.5)), linewidth=1
                )
                drawn.append(other)
            axis.set(xlabel="round", ylabel=LABELS[quantity], ylim=_limits(curves, quantity))
        style.block_title(row[0], study, block)
    handles = [Line2D([], [], color=look.color, linestyle=_dashes(look)) for look in _looks(study, order)]
    labels = [study.label(method) for method in order]
    if reference is not None:
        handles.append(Line2D([], [], color=REFERENCE, linestyle=(0, (4, 1.5))))
        labels.append(reference["label"])
    style.legend(figure, handles, labels, min(per_row, entries))
    import pandas as pd

    numbers = pd.concat(drawn, ignore_index=True).drop_duplicates()
    note = f"mean and 95% interval over {seeds_note(shown)}"
    return style.finish(figure, scale=measurements.scale, note=note), numbers


def _frame(measurements: Measurements, quantities: list[str]):
    import pandas as pd

    curves = {
        "accuracy": lambda: rounds.accuracy(measurements.rounds),
        "maverick_recall": lambda: rounds.maverick_recall(measurements.rounds, measurements.clients),
    }
    parts = [
        summarise(curves[quantity](), [*CELL, "round"]).assign(quantity=quantity) for quantity in quantities
    ]
    return pd.concat(parts, ignore_index=True)


def _limits(curves, quantity: str) -> tuple[float, float]:
    """All of 0 to 1 for a recall; where the mean accuracies lie: bands of few seeds reach far beyond."""
    if quantity != "accuracy" or curves.empty:
        return -0.02, 1.02
    return max(0.0, curves["mean"].quantile(0.02) - 0.08), min(1.0, curves["mean"].max() + 0.04)


def _looks(study: Study, order: list[str]):
    return [style.look(study, method) for method in order]


def _dashes(look: style.Look):
    return (0, look.dashes) if look.dashes else "-"


def _curve(axis, line, look: style.Look) -> None:
    axis.fill_between(line["round"], line["low"], line["high"], color=look.color, alpha=0.13, linewidth=0)
    axis.plot(line["round"], line["mean"], color=look.color, linestyle=_dashes(look), linewidth=1)
