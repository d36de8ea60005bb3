"""The part of a figure's caption that the data gives."""

from __future__ import annotations

from gauntlet.report import budgets
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import FigureEntry, Study
from gauntlet.report.summary import blocks, seeds_note
from gauntlet.report.vocabulary import BLOCK, scale_label

#: More methods than these are counted, not named: the legend has their names.
NAMED = 8


def caption(study: Study, entry: FigureEntry, measurements: Measurements, frame) -> str:
    """Uncertainty and seeds, methods, test images, budgets of the attacks, what is missing, scale.

    Args:
        frame: what the figure draws, as its CSV says.
    """
    parts = [_uncertainty(frame), _methods(study, frame), _images(measurements, frame)]
    parts += _strength(measurements, frame)
    parts += [_absent(study, entry, measurements, frame), f"{scale_label(measurements.scale).capitalize()}."]
    return " ".join(part for part in parts if part)


def _absent(study: Study, entry: FigureEntry, measurements: Measurements, frame) -> str:
    if "method" not in frame.columns:
        return ""
    present = set(frame["method"])
    wanted = entry.methods or study.methods
    absent = [m for m in study.methods_at(measurements.scale) if m in wanted and m not in present]
    names = ", ".join(study.label(method) for method in absent)
    return f"Not shown, for want of measurements: {names}." if names else ""


def _uncertainty(frame) -> str:
    if "half_width" in frame.columns:
        return f"Mean and 95% t interval over {seeds_note(frame)}."
    if "median" in frame.columns:
        return f"Median, least and greatest of {seeds_note(frame)}."
    if "seeds" in frame.columns:
        return f"Mean over {seeds_note(frame)}."
    if "seed" in frame.columns and len(frame):
        seeds = ", ".join(str(seed) for seed in sorted(frame["seed"].unique()))
        return f"Seed {seeds} alone: no interval."
    return ""


def _methods(study: Study, frame) -> str:
    if "method" not in frame.columns or not len(frame):
        return ""
    shown = [study.label(method) for method in study.methods if method in set(frame["method"])]
    if len(shown) > NAMED:
        return f"{len(shown)} methods."
    return f"Method{'' if len(shown) == 1 else 's'}: {', '.join(shown)}."


def _images(measurements: Measurements, frame) -> str:
    """How many test images a score is over, where a table of this run has a row for each."""
    if not set(BLOCK) <= set(frame.columns) or not {"metric", "attack"} & set(frame.columns):
        return ""
    counts: set[int] = set()
    for name in ("examples", "predictions"):
        if name not in measurements.manifest["tables"]:
            continue
        table = getattr(measurements, name)
        for block in blocks(frame):
            counts |= set(where(table, block).groupby(["method", "seed"])["index"].nunique())
    if not counts:
        return ""
    low, high = min(counts), max(counts)
    return f"{low if low == high else f'{low} to {high}'} test images per seed."


def _strength(measurements: Measurements, frame) -> list[str]:
    """What the attacks of the figure were allowed; of sweeps the axis says it."""
    if "attack" not in frame.columns or "sweep" in frame.columns or not set(BLOCK) <= set(frame.columns):
        return []
    notes = [
        budgets.note(measurements, block, list(dict.fromkeys(where(frame, block)["attack"])))
        for block in blocks(frame)
    ]
    return [note for note in dict.fromkeys(notes) if note]
