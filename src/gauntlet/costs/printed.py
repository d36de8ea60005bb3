"""A plan in words: a table of the studies, what was assumed, and what was checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from gauntlet.core.disk import size
from gauntlet.costs.against import Comparison
from gauntlet.costs.checks import Check, hours
from gauntlet.costs.forecast import Forecast
from gauntlet.costs.rates import Interval, Rates

HEADS = ("study", "jobs", "done", "trials", "core-hours", "GPU-hours", "wall time", "weights", "tables")


def table(parts: Mapping[str, Forecast], total: Forecast) -> list[str]:
    """Lines: one per study, and the total. A ``+`` marks sums that lack jobs which nobody has measured."""
    rows = [HEADS, *(_row(name, part) for name, part in parts.items()), _row("all", total)]
    if not any(part.gpus.middle for part in parts.values()):
        at = HEADS.index("GPU-hours")
        rows = [row[:at] + row[at + 1 :] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]


def _row(name: str, part: Forecast) -> tuple[str, ...]:
    more = "+" if part.unknown else ""
    wall = f"{hours(part.wall.middle)} ({hours(part.wall.low)} - {hours(part.wall.high)})"
    return (
        name,
        str(part.jobs),
        str(part.done),
        str(part.trials),
        _in_hours(part.cores) + more,
        _in_hours(part.gpus),
        wall + more,
        size(part.weights),
        "?" if part.tables is None else size(part.tables),
    )


def _in_hours(seconds: Interval) -> str:
    low, middle, high = (
        f"{value / 3600:,.0f}" if value > 99.5 * 3600 else f"{value / 3600:.2g}" for value in seconds
    )
    return f"{middle} ({low} - {high})"


def assumptions(
    total: Forecast, rates: Rates, strangers: int, slots: int, checked: list[Comparison]
) -> list[str]:
    """What the numbers rest on, and what they leave out."""
    if rates.device is None:
        lines = ["No job was measured on such a device: there is nothing to scale from."]
    else:
        lines = [
            f"Scaled from {rates.count} measured jobs on {rates.device}, one core each: seconds per operation"
            " of the same method, or of its family.",
            "In brackets: from the 10th to the 90th percentile of these jobs.",
            f"Wall time: {slots} jobs at once, none of them slowed by the others, no queue.",
        ]
    if checked:
        least, most = (end(row.ratio for row in checked) for end in (min, max))
        lines.append(
            f"Checked: each measured study, planned from all others alone, came to {least:.2g} to {most:.2g}"
            f" times what it took ({len(checked)} sums of trainings or attacks)."
        )
    starts = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in rates.startup.items())
    lines.append(
        f"Start-up of every job: {starts}, measured." if starts else "Start-up of jobs: not measured."
    )
    if rates.faster:
        named = ", ".join(f"{rule} {factor:g} times" for rule, factor in sorted(rates.faster.items()))
        lines.append(f"Assumed by --speedup, not measured: {named} as fast on a GPU.")
    else:
        lines.append("GPU: not measured. --speedup N assumes that one is N times as fast as this device.")
    if total.far:
        lines.append(
            f"Never measured on these networks, their operations alone tell: {', '.join(total.far)}."
        )
    if total.unknown:
        named = ", ".join(f"{rule} {count}" for rule, count in sorted(total.unknown.items()))
        lines.append(
            f"Not measured, and not in the sums marked +: {named} jobs. A run at mini measures them here."
        )
    if strangers:
        lines.append(f"{strangers} published jobs had other settings than today's configuration: left out.")
    return lines


def report(checks: Iterable[Check]) -> list[str]:
    """One line per check, with its remedy below."""
    lines = []
    for check in checks:
        lines.append(f"{check.state:5}  {check.text}")
        if check.remedy:
            lines.append(f"       remedy: {check.remedy}")
    return lines


def as_json(
    parts: Mapping[str, Forecast],
    total: Forecast,
    rates: Rates,
    slots: int,
    slurm_jobs: int,
    checks: Iterable[Check],
    assumed: list[str],
) -> dict[str, Any]:
    """All of it, for programs; seconds and bytes."""
    return {
        "device": rates.device,
        "slots": slots,
        "slurm_jobs": slurm_jobs,
        "studies": {name: _plain(part) for name, part in parts.items()},
        "total": _plain(total),
        "assumed": assumed,
        "checks": [check._asdict() for check in checks],
    }


def _plain(part: Forecast) -> dict[str, Any]:
    found = asdict(part)
    found["longest"] = {rule: took._asdict() for rule, took in part.longest.items()}
    return {name: value._asdict() if isinstance(value, Interval) else value for name, value in found.items()}
