"""All studies and all claims on one page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gauntlet.report.claims.board import numbers
from gauntlet.report.claims.statistics import FAILS, HOLDS, NOT_MEASURED, UNDECIDED

VERDICTS = (HOLDS, FAILS, UNDECIDED, NOT_MEASURED)


def tally(claims: dict[str, Any]) -> list[tuple[str, int]]:
    """Verdict -> how many claims of a study have it, in the order of ``VERDICTS``."""
    given = [claim["verdict"] for claim in claims.values()]
    return [(verdict, given.count(verdict)) for verdict in VERDICTS]


def seeds(claims: dict[str, Any]) -> str:
    """How many seeds the claims were judged over: ``5`` or ``5 to 20``."""
    counts = [claim["seeds"] for claim in claims.values() if claim["seeds"]]
    if not counts:
        return "none"
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def published(key: str, runs: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
    """The verdict of a claim in each of the judged runs, with the numbers that decide it."""
    return [
        {
            "scale": run["scale"],
            "verdict": run["claims"][key]["verdict"],
            "numbers": numbers(run["claims"][key]),
        }
        for run in runs
    ]
