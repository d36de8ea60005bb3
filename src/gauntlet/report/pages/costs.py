"""What the runs cost: seconds by method and step, and planned against spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gauntlet.report.measurements import Measurements
from gauntlet.report.pages.cells import STEPS
from gauntlet.report.study import Study

#: The step of models that other families train, and its heading.
NEEDED = "models needed"


def cost(study: Study, measurements: Measurements) -> dict[str, Any]:
    """Seconds per method and step that the family has, over all blocks and seeds.

    Models of other families that jobs needed are a step of their own; what several methods needed, such as
    shadow models, is a row of its own, so that each job counts once.
    """
    cells = measurements.manifest["cells"]
    steps = [step for step in STEPS if any(step in cell for cell in cells)]
    rows: dict[str, dict[str, float]] = {}
    for cell in cells:
        row = rows.setdefault(cell["method"], dict.fromkeys(steps, 0.0))
        for step in steps:
            row[step] += cell[step].get("seconds", 0.0)
    needed, users = {}, {}
    for cell in cells:
        for job in cell.get("needed", {}).values():
            if "seconds" in job:
                needed[job["folder"]] = job
                users.setdefault(job["folder"], set()).add(cell["method"])
    ordered = [(study.label(method), rows[method]) for method in study.methods if method in rows]
    if needed:
        shared = dict.fromkeys(steps, 0.0) | {NEEDED: 0.0}
        for row in rows.values():
            row[NEEDED] = 0.0
        for folder, job in needed.items():
            row = rows[min(users[folder])] if len(users[folder]) == 1 else shared
            row[NEEDED] += job["seconds"]
        if shared[NEEDED]:
            ordered.append(("several methods", shared))
        steps = [*steps, NEEDED]
    totals = {step: sum(row[step] for _, row in ordered) for step in steps}
    ran = [cell[step] for cell in cells for step in STEPS if step in cell] + list(needed.values())
    return {
        "heads": [STEPS.get(step, step) for step in steps],
        "rows": ordered,
        "totals": totals,
        "all": sum(totals.values()),
        "jobs": len(ran),
        "devices": sorted({job["device"] for job in ran if job.get("device")}),
    }


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
