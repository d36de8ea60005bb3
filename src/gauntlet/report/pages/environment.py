"""What the numbers came from: commits, data, devices, environments, dates, and table hashes."""

from __future__ import annotations

from typing import Any

from gauntlet.report.measurements import Measurements
from gauntlet.report.pages.cells import STEPS


def provenance(measurements: Measurements) -> dict[str, Any]:
    """Of one run: what its jobs say of themselves, each value once."""
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
