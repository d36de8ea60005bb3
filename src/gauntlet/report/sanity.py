"""The sanity suite as the report shows it: which numbers are flagged, and which claims that bars."""

from __future__ import annotations

from typing import Any

from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.vocabulary import ATTACKS, CHECKS, attack_label, check_label

#: (dataset, setting, architecture, method, attack)
Place = tuple[str, ...]


def sanity(study: Study, measurements: Measurements, claims: dict[str, Any]) -> dict[str, Any] | None:
    """Checks passed per block, method and attack; None where a study's jobs make none.

    Args:
        claims: the study's claims as judged on the same measurements (``judge_study``).

    Returns: ``blocks``, a table each; ``checks``, what each must show and how many passed; ``failed``, every
    check that did not. A cell of a table is None where the method was not attacked so; ``all`` is 0 where it
    was, and nothing was checked.
    """
    if "sanity" not in measurements.manifest["tables"]:
        return None
    table, barred = measurements.sanity, _barred(claims)
    return {
        "blocks": [
            found for block in measurements.blocks if (found := _block(study, measurements, block, barred))
        ],
        "checks": [
            {
                "label": check_label(check),
                "meaning": CHECKS.get(check, check),
                **_count(where(table, check=check)),
            }
            for check in _ordered(set(table["check"]), CHECKS)
        ],
        "failed": [
            {
                "where": study.block_label(row.dataset, row.setting, row.architecture),
                "label": study.label(row.method),
                "seed": row.seed,
                "attack": attack_label(row.attack),
                "check": check_label(row.check),
                "metric": study.metric_label(row.metric),
                "value": row.value,
                "bound": row.bound,
            }
            for row in table[~table["passed"]].itertuples()
        ],
    }


def _barred(claims: dict[str, Any]) -> dict[Place, list[str]]:
    """Where a check failed -> the claims that lose the verdict of a comparison to it."""
    found: dict[Place, dict[str, None]] = {}
    for key, claim in claims.items():
        for detail in claim["details"]:
            for flag in detail["flags"]:
                if flag["bars"] and detail["gate"]:
                    place = (detail["dataset"], flag["setting"], detail["architecture"])
                    found.setdefault((*place, flag["method"], flag["attack"]), {})[key] = None
    return {place: list(keys) for place, keys in found.items()}


def _block(study: Study, measurements: Measurements, block, barred) -> dict[str, Any] | None:
    """A row per method, a cell per attack; None where nothing was attacked."""
    table = where(measurements.sanity, block)
    scores = where(measurements.scores, block, suite="main")
    scores = scores[~scores["attack"].isin(["clean", "worst"])]
    made = set(zip(scores["method"], scores["attack"], strict=True))
    checked = dict(iter(table.groupby(["method", "attack"])))
    found = made | set(checked)
    if not found:
        return None
    attacks = _ordered({attack for _, attack in found}, ATTACKS)
    methods = {method for method, _ in found}

    def cell(method: str, attack: str) -> dict[str, Any] | None:
        if (method, attack) not in found:
            return None
        rows = checked.get((method, attack), table.iloc[:0])
        failed = _ordered(set(rows.loc[~rows["passed"], "check"]), CHECKS)
        return {
            **_count(rows),
            "failed": [check_label(check) for check in failed],
            "bars": barred.get((*block, method, attack), []),
        }

    return {
        "where": study.block_label(*block),
        "attacks": [attack_label(attack) or "any attack" for attack in attacks],
        "rows": [
            {"label": study.label(method), "cells": [cell(method, attack) for attack in attacks]}
            for method in study.methods
            if method in methods
        ],
    }


def _count(rows) -> dict[str, int]:
    return {"passed": int(rows["passed"].sum()), "all": len(rows)}


def _ordered(names: set[str], vocabulary) -> list[str]:
    """In the order of the vocabulary, then those that it lacks."""
    return [*(name for name in vocabulary if name in names), *sorted(names - set(vocabulary))]
