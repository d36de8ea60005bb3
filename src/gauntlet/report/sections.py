"""Parts of the report that are computed from measurements: captions, cost, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gauntlet.report.measurements import Measurements
from gauntlet.report.study import FigureEntry, Study
from gauntlet.report.summary import seeds_note
from gauntlet.report.vocabulary import scale_label

#: Steps of a cell, and what they are called where their cost is printed.
STEPS = {"train": "training", "attack": "attacks"}


def drawn(study: Study, entry: FigureEntry, measurements: Measurements, csv: Path) -> str:
    """The part of a caption that the data gives: uncertainty, seeds, scale, what is missing."""
    import pandas as pd

    frame = pd.read_csv(csv)
    parts = []
    if "half_width" in frame.columns:
        parts.append(f"Mean and 95% t interval over {seeds_note(frame)}.")
    elif "median" in frame.columns:
        parts.append(f"Median, least and greatest of {seeds_note(frame)}.")
    elif "seeds" in frame.columns:
        parts.append(f"Mean over {seeds_note(frame)}.")
    elif "seed" in frame.columns and len(frame):
        parts.append(f"Seed {', '.join(str(seed) for seed in sorted(frame['seed'].unique()))}.")
    expected = [m for m in study.methods_at(measurements.scale) if m in (entry.methods or study.methods)]
    present = set(frame["method"]) if "method" in frame.columns else set()
    if absent := [study.label(method) for method in expected if method not in present]:
        parts.append(f"Not shown, for want of measurements: {', '.join(absent)}.")
    parts.append(f"{scale_label(measurements.scale).capitalize()}.")
    return " ".join(parts)


def cost(study: Study, measurements: Measurements) -> dict[str, Any]:
    """Seconds per method and step that the family has, over all blocks and seeds."""
    cells = measurements.manifest["cells"]
    steps = [step for step in STEPS if any(step in cell for cell in cells)]
    rows: dict[str, dict[str, float]] = {}
    for cell in cells:
        row = rows.setdefault(cell["method"], dict.fromkeys(steps, 0.0))
        for step in steps:
            row[step] += cell[step].get("seconds", 0.0)
    ordered = [(study.label(method), rows[method]) for method in study.methods if method in rows]
    totals = {step: sum(row[step] for _, row in ordered) for step in steps}
    return {"heads": [STEPS[step] for step in steps], "rows": ordered, "totals": totals}


def planned(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was planned against what was spent, in words: one line per step.

    Args:
        rows: ``step``, ``jobs`` that could be planned, ``planned`` (low, middle, high) and ``spent`` seconds
            of these, and ``unplanned``: jobs whose like was measured nowhere else.
    """
    lines = []
    for row in rows:
        name, parts = STEPS[row["step"]].capitalize(), []
        if row["jobs"]:
            low, middle, high = row["planned"]
            spent = f"spent {row['spent']:.0f} s in {row['jobs']} jobs"
            parts.append(f"planned {middle:.0f} s ({low:.0f} to {high:.0f}), {spent}")
        if row["unplanned"]:
            parts.append(f"{row['unplanned']} jobs not planned, for want of measurements elsewhere")
        lines.append(f"{name}: {'; '.join(parts)}.")
    return lines


def provenance(measurements: Measurements) -> dict[str, Any]:
    """What the numbers came from: commits, data, devices, environments, dates, and table hashes."""
    manifest = measurements.manifest
    steps = [cell[step] for cell in manifest["cells"] for step in STEPS if step in cell]

    def distinct(field: str) -> list[str]:
        return sorted({str(step[field]) for step in steps if step.get(field) is not None})

    started = distinct("started")
    return {
        "folder": measurements.folder.as_posix(),
        "commit": distinct("commit"),
        "data_version": distinct("data_version"),
        "device": distinct("device"),
        "started": f"{started[0]} to {started[-1]}" if started else "unknown",
        "environments": manifest["environments"],
        "tables": sorted(manifest["tables"].items()),
        "jobs": len(steps),
    }
