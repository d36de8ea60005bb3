"""Comparisons in words, as claims print them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gauntlet.report.claims.comparisons import Comparison, Selection
from gauntlet.report.claims.power import POWER
from gauntlet.report.claims.statistics import FAILS, HOLDS
from gauntlet.report.study import Study
from gauntlet.report.vocabulary import check_label

CORRECTIONS = {"holm": "Holm", "bh": "Benjamini-Hochberg"}


def describe(comparison: Comparison, study: Study, setting: str) -> str:
    """``F1, joint pair: EAT - AT``, in a block of this setting."""
    value, baseline = comparison.value, comparison.baseline
    first, what = name(value, study, setting), measure(value, study)
    if baseline is None:
        return f"{what}: {first}"
    sign = "/" if comparison.check.over else "\N{MINUS SIGN}"
    second, other = name(baseline, study, setting), measure(baseline, study)
    if what == other:
        return f"{what}: {first} {sign} {second}"
    whose = f"{second}: " if second != first else ""
    return f"{first}: {what} {sign} {whose}{other}"


def name(side: Selection, study: Study, setting: str) -> str:
    """The method, and its setting where that is another than the block's."""
    return _in_setting(side.method, side.setting, study, setting)


def flag(failed: dict[str, Any], study: Study, setting: str) -> str:
    """``EAT: unbounded under shift``, of a failed sanity check."""
    label = _in_setting(failed["method"], failed["setting"], study, setting)
    attack = study.attack_label(failed["attack"]) or "any attack"
    return f"{label}: {check_label(failed['check'])} under {attack}"


def _in_setting(method: str, other: str | None, study: Study, setting: str) -> str:
    label = study.label(method)
    return label if other in (None, setting) else f"{label} in {study.settings.get(other, other)}"


def measure(side: Selection, study: Study) -> str:
    """``F1, joint pair``"""
    parts = [study.metric_label(side.metric)]
    if side.suite == "transfer":
        parts.append(f"transfer {side.detail.replace('_', ' ')}".strip())
    if side.attack:
        parts.append(study.attack_label(side.attack))
    parts += [f"{key} {getattr(side, key):g}" for key in ("eps", "steps", "fraction") if getattr(side, key)]
    if side.view == "member":
        parts.append("mean single member")
    return ", ".join(parts)


def evidence(claim: dict[str, Any]) -> str:
    """p-values of a judged claim, what is left of its verdict after the correction, and the power note."""
    verdict, corrected = claim["verdict"], claim["corrected"]
    direction = FAILS if verdict == FAILS else HOLDS
    parts = []
    if (p := claim["p"][direction]) is not None:
        parts.append(f"p {p_value(p)}" + (" that it fails" if verdict == FAILS else ""))
        if corrected[direction] is not None:
            after = f"after {CORRECTIONS[corrected['by']]} over {corrected['claims'][direction]} claims"
            parts[-1] += f", {after} {p_value(corrected[direction])}: {corrected['verdict']}"
    if claim["side"] == "within" and claim["tests"]:
        bounds = claim["tests"][claim["test"]]["bounds"]
        parts.append(f"TOST: {', '.join(f'{bound}: p {p_value(p)}' for bound, p in bounds.items())}")
    return "; ".join([*parts, *filter(None, [power(claim)])])


def power(claim: dict[str, Any]) -> str:
    """The power note of the comparison that decides; empty where nothing can be said."""
    effect, side = claim["detectable"], claim["side"]
    if effect is None:
        return ""
    what = f"a tie within {effect:.3f}" if side == "within" else f"an effect {side} {effect:.3f}"
    return f"these seeds show {what} with {POWER:.0%} power"


def p_value(p: float) -> str:
    """``0.0312``, ``< 0.0001``"""
    return "< 0.0001" if p < 0.0001 else f"{p:.3g}"


def listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, seeds))


def unique(items: Iterable[str]) -> list[str]:
    """Each once, in order of appearance."""
    return list(dict.fromkeys(items))
