"""Correction for the number of claims that a study makes. docs/claims.md says what it promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gauntlet.report.claims.statistics import ALPHA, FAILS, HOLDS, UNDECIDED


def claim_p(gated: Iterable[Mapping[str, Any]]) -> dict[str, float | None]:
    """The p-values that a claim holds, and that it fails, from those of its gated comparisons.

    It holds when all of them do, so the largest p is the claim's, whatever their number (intersection-union
    test; Berger 1982). It fails when one of them does, so the smallest p is multiplied by their number
    (Bonferroni); a tie can fail on two sides and counts as two. None where there is nothing to test.
    """
    gated = list(gated)
    tested = [detail for detail in gated if detail["tests"]]
    ways = sum(2 if detail["side"] == "within" else 1 for detail in tested)
    return {
        "holds": max(_p(detail, HOLDS) for detail in tested) if tested and tested == gated else None,
        "fails": min(1.0, ways * min(_p(detail, FAILS) for detail in tested)) if tested else None,
    }


def _p(detail: Mapping[str, Any], verdict: str) -> float:
    """A verdict that a flag or a censored curve takes away is no evidence, however small its p."""
    p = detail["tests"][detail["test"]][verdict]
    return p if p > ALPHA or detail["verdict"] == verdict else 1.0


def correct(claims: Mapping[str, Mapping[str, Any]], correction: str) -> dict[str, dict[str, Any]]:
    """Claim -> what the correction (``holm``, ``bh`` or ``none``) makes of it.

    ``by``: the correction; ``holds`` and ``fails``: the adjusted p-values; ``claims``: over how many claims
    each is adjusted; ``verdict``: that of the claim where its adjusted p is at most 2.5%, else undecided.
    With ``none`` verdicts stay, and nothing is adjusted.
    """
    adjusted, count = {}, {}
    for verdict in (HOLDS, FAILS):
        p = {key: claim["p"][verdict] for key, claim in claims.items() if claim["p"][verdict] is not None}
        count[verdict] = len(p)
        if correction != "none":
            adjusted[verdict] = dict(zip(p, adjust(list(p.values()), correction), strict=True))
    corrected = {}
    for key, claim in claims.items():
        of = {verdict: adjusted.get(verdict, {}).get(key) for verdict in (HOLDS, FAILS)}
        p = of.get(claim["verdict"])
        stands = p is None or p <= ALPHA
        corrected[key] = {
            "by": correction,
            "claims": count,
            **of,
            "verdict": claim["verdict"] if stands else UNDECIDED,
        }
    return corrected


def adjust(p: Sequence[float], correction: str) -> list[float]:
    """Adjusted p-values: ``holm`` (family-wise error, whatever the dependence; Holm 1979), ``bh`` (false
    discovery rate; Benjamini and Hochberg 1995)."""
    if correction == "bh":
        from scipy.stats import false_discovery_control

        return false_discovery_control(p).tolist() if len(p) else []
    adjusted, largest = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = largest
    return adjusted
