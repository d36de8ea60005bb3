"""The verdicts of all studies together: claims.json, the console lines, the strict gate."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gauntlet.core.files import write_json
from gauntlet.report.claims.judge import judge_study
from gauntlet.report.claims.statistics import HOLDS, NOT_MEASURED
from gauntlet.report.claims.words import evidence, unique
from gauntlet.report.measurements import read
from gauntlet.report.provenance.drawn import record_claims

RULE = (
    "The 95% t interval over seeds (paired where two methods are compared) against a declared margin: "
    "entirely on the claim's side: holds; entirely on the other side: fails; else undecided. "
    "A tie holds when the interval lies within the margin, and fails when it lies outside. "
    "A claim with several comparisons holds when all of them hold and fails when one fails. "
    "Beside it stand one-sided p-values against the margin (TOST for a tie; the rule decides at 0.025), "
    "and the verdict that is left when they are corrected for the number of claims that the study makes."
)


def judge_all(
    studies: Iterable[tuple[str | Path, str | Path]], out: str | Path | None = None
) -> dict[str, Any]:
    """Judge (study file, measurements folder) pairs; write ``claims.json`` to ``out``, with a sidecar."""
    studies = list(studies)
    judged = [judge_study(study_file, folder) for study_file, folder in studies]
    claims = {"rule": RULE, "studies": {entry["study"]: entry for entry in judged}}
    if out is not None:
        write_json(out, claims)
        record_claims(out, [read(folder) for _, folder in studies])
    return claims


def summary(claims: dict[str, Any]) -> list[str]:
    """Console lines: per claim id, verdict, effect with interval, seeds, statement; reason; evidence."""
    lines, indent = [], " " * 24
    for entry in claims["studies"].values():
        lines.append(f"{entry['study']}: {entry['title']} [{entry['label']}]")
        for key, claim in entry["claims"].items():
            head = f"  {key:<8} {claim['verdict']:<12} {numbers(claim):<46}"
            lines.append(f"{head} {claim['statement']}")
            if claim["reason"] and (claim["verdict"] != HOLDS or claim["flagged"]):
                lines.append(f"{indent}{claim['reason']}")
            if said := evidence(claim):
                lines.append(f"{indent}{said}")
        limits = unique(limit for claim in entry["claims"].values() for limit in claim["limits"])
        lines += [f"  note: {limit}" for limit in limits]
    return lines


def numbers(claim: dict[str, Any]) -> str:
    """``+0.031 [+0.012, +0.050] above 0, 5 seeds``, or an empty string when nothing was measured."""
    if claim["effect"] is None:
        return ""
    ci = claim["ci"]
    interval = "[no interval]" if ci is None else f"[{ci[0]:+.3f}, {ci[1]:+.3f}]"
    plural = "" if claim["seeds"] == 1 else "s"
    bound = f"{claim['side']} {claim['margin']:g}"
    return f"{claim['effect']:+.3f} {interval} {bound}, {claim['seeds']} seed{plural}"


def strict(claims: dict[str, Any]) -> bool:
    """Whether every claim that was measured holds, and at least one was measured."""
    verdicts = [
        claim["verdict"] for entry in claims["studies"].values() for claim in entry["claims"].values()
    ]
    measured = [verdict for verdict in verdicts if verdict != NOT_MEASURED]
    return bool(measured) and all(verdict == HOLDS for verdict in measured)
