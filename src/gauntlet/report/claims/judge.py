"""Judge a study's claims on its measurements, by one rule. docs/claims.md states the rule."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gauntlet.core.blocks import seeds_of
from gauntlet.core.errors import GauntletError
from gauntlet.report.claims.comparisons import Comparison, Selection, expand, per_seed
from gauntlet.report.claims.model import Check, Claim
from gauntlet.report.claims.statistics import decide, t_interval
from gauntlet.report.measurements import Measurements, read, where
from gauntlet.report.study import Study, load
from gauntlet.report.vocabulary import BLOCK, attack_label, scale_label

HOLDS, FAILS, UNDECIDED, NOT_MEASURED = "holds", "fails", "undecided", "not measured"


def judge_study(study_file: str | Path, folder: str | Path) -> dict[str, Any]:
    """Judge every claim of a study on the measurements in ``folder`` (results or published).

    Returns: ``{study, title, scale, label, claims: {id: {...}}}``, JSON-ready; see ``judge_claim``.
    """
    study, measurements = load(study_file), read(folder)
    return {
        "study": study.study,
        "title": study.title,
        "scale": measurements.scale,
        "label": scale_label(measurements.scale),
        "claims": {
            key: judge_claim(claim, study, measurements, file=study_file, key=f"claims.{key}")
            for key, claim in study.claims.items()
        },
    }


def judge_claim(
    claim: Claim, study: Study, measurements: Measurements, *, file: str | Path = "", key: str = ""
) -> dict[str, Any]:
    """One claim over all its comparisons, in every block (dataset, setting, architecture) in scope.

    A comparison is asked only of the blocks whose plan has its methods, as long as one has; the others
    are listed under ``not_planned``. The claim fails when a gated comparison fails; else it is not
    measured when one is; else undecided when one is; else it holds. ``effect``, ``ci`` and ``margin`` are
    those of the gated comparison that decides: the one with the least room among those that share the
    claim's verdict.
    """
    blocks = [
        block
        for block in measurements.blocks
        if all(
            wanted is None or name in wanted
            for name, wanted in zip(block, (getattr(claim.scope, key) for key in BLOCK), strict=True)
        )
    ]
    details = []
    for block in blocks:
        judged = _Block(study, measurements, block)
        for index, check in enumerate(claim.checks):
            try:
                details += [dict(detail, check=index) for detail in judged.details(check)]
            except ValueError as error:
                raise GauntletError(
                    str(error), file=file, key=f"{key}.checks.{index}", remedy="narrow the selection"
                ) from error
    asked, skipped = _planned(details)
    gated = [detail for detail in asked if detail["gate"]]
    verdict = combine(detail["verdict"] for detail in gated)
    missing = _gaps(study, gated, len(blocks))
    not_planned = _gaps(study, [detail for detail in skipped if detail["gate"]], 0)
    if not blocks:
        scope = [name for key in BLOCK for name in getattr(claim.scope, key) or []]
        missing = [" and ".join(scope) or "any dataset"]
    deciding = _deciding(verdict, gated)
    flagged = _unique(flag for detail in gated for flag in detail["flagged"])
    absent = _unique(
        study.label(method)
        for check in claim.checks
        if check.minus and check.minus.method
        for method in check.minus.method.present
        if method not in study.methods_at(measurements.scale)
    )
    rivals = _unique(
        study.label(detail["minus"]["method"])
        for detail in asked
        if detail["minus"] and claim.checks[detail["check"]].minus.method
    )
    return {
        "statement": claim.statement,
        "paper": claim.paper,
        "note": claim.note,
        "verdict": verdict,
        "reason": _reason(verdict, missing, flagged, deciding),
        "scale": measurements.scale,
        "seeds": min((detail["seeds"] for detail in gated if detail["seeds"]), default=0),
        "comparisons": len(gated),
        "compared_with": rivals,
        "absent": absent,
        "missing": missing,
        "not_planned": not_planned,
        "flagged": flagged,
        **{
            field: deciding[field] if deciding else None
            for field in ("what", "effect", "ci", "side", "margin", "smallest_effect")
        },
        "details": asked,
    }


def combine(verdicts: Iterable[str]) -> str:
    """The verdict of a claim from those of its gated comparisons."""
    verdicts = set(verdicts)
    for verdict in (FAILS, NOT_MEASURED, UNDECIDED):
        if verdict in verdicts:
            return verdict
    return HOLDS if verdicts else NOT_MEASURED


class _Block:
    """The measurements of one dataset, setting and architecture."""

    def __init__(self, study: Study, measurements: Measurements, block: tuple[str, str, str]):
        self.study, self.scale, self.block = study, measurements.scale, block
        self.scores = where(measurements.scores, block)
        self.sanity = where(measurements.sanity, block)
        self.holes = [hole for hole in measurements.missing if tuple(hole[key] for key in BLOCK) == block]

    def details(self, check: Check) -> list[dict[str, Any]]:
        """One entry per comparison that the check stands for."""
        suite = self.scores[self.scores["suite"] == check.value.suite]
        attacks = sorted(suite.loc[suite["method"].isin(check.value.method), "attack"].unique())
        rivals = None
        if check.minus and check.minus.method:
            planned = {*self.study.methods_at(self.scale), *self.scores["method"]}
            rivals = check.minus.method.each or [m for m in check.minus.method.present if m in planned]
            if not rivals:
                value = Selection(check.value.method[0], check.metric[0], "main", *[None] * 6)
                names = ", ".join(self.study.label(method) for method in check.minus.method.present)
                return [self._entry(Comparison(check, value, None), missing=[f"any of {names}"])]
        return [self._judge(comparison) for comparison in expand(check, rivals, attacks)]

    def _judge(self, comparison: Comparison) -> dict[str, Any]:
        sides = [side for side in (comparison.value, comparison.minus) if side is not None]
        series = [per_seed(self.scores, side) for side in sides]
        missing = self._missing(sides, series)
        if missing:
            planned = all(self._planned(side.method) for side in sides)
            return self._entry(comparison, missing=missing, planned=planned)
        effects = series[0] if len(series) == 1 else series[0] - series[1]
        interval = t_interval(effects.tolist())
        bound = comparison.check.is_
        decision = decide(interval, bound.side, bound.margin)
        flags = [self._flags(side) for side in sides]
        flagged = _unique(flag for of_side in flags for flag in of_side)
        doubted = decision.verdict in _doubtful(bound.side, *map(bool, flags))
        return self._entry(
            comparison,
            verdict=UNDECIDED if doubted else decision.verdict,
            effect=interval.mean,
            ci=None if interval.half_width is None else [interval.low, interval.high],
            smallest_effect=decision.smallest,
            seeds=interval.n,
            effects={str(seed): value for seed, value in effects.items()},
            flagged=flagged,
            doubted=doubted,
            reason=f"flagged: {', '.join(flagged)}" if doubted else decision.reason,
        )

    def _missing(self, sides: list[Selection], series: list) -> list[str]:
        """What lacks for the comparison, in words. Seeds are expected on both sides, and those that
        failed are expected too: leaving them out would bias the verdict."""
        gaps = []
        lost = {side.method: self._lost_seeds(side.method) for side in sides}
        expected = {seed for values in series for seed in values.index}.union(*lost.values())
        for side, values in zip(sides, series, strict=True):
            label = self.study.label(side.method)
            if values.empty:
                measured = side.method in set(self.scores["method"])
                gaps.append(f"{_measure(side, self.study)} of {label}" if measured else label)
                continue
            finite = {seed for seed, value in values.items() if math.isfinite(value)}
            if absent := sorted(expected - set(values.index)):
                gaps.append(f"{label}, seed {', '.join(map(str, absent))}")
            if broken := sorted(set(values.index) - finite):
                gaps.append(
                    f"finite {_measure(side, self.study)} of {label}, seed {', '.join(map(str, broken))}"
                )
        return gaps

    def _planned(self, method: str) -> bool:
        """Whether this block was to measure the method: it did, or it failed to."""
        return method in set(self.scores["method"]) or any(hole["method"] == method for hole in self.holes)

    def _lost_seeds(self, method: str) -> set[int]:
        blocks = [str(hole.get("block", "")) for hole in self.holes if hole["method"] == method]
        return {seed for block in blocks for seed in seeds_of(block)}

    def _flags(self, side: Selection) -> list[str]:
        """Failed sanity checks that bear on this number; a clean score has none."""
        if side.attack == "clean":
            return []
        rows = self.sanity[(self.sanity["method"] == side.method) & ~self.sanity["passed"]]
        if side.attack not in (None, "worst"):
            rows = rows[rows["attack"].isin([side.attack, ""])]
        return [
            f"{self.study.label(side.method)}: {check} under {attack_label(attack) or 'any attack'}"
            for check, attack in sorted(set(zip(rows["check"], rows["attack"], strict=True)))
        ]

    def _entry(self, comparison: Comparison, **judged: Any) -> dict[str, Any]:
        bound = comparison.check.is_
        missing = judged.pop("missing", [])
        return {
            **dict(zip(BLOCK, self.block, strict=True)),
            "what": f"{describe(comparison, self.study)} ({self.study.block_label(*self.block)})",
            "label": comparison.check.label,
            "value": comparison.value.as_dict(),
            "minus": comparison.minus.as_dict() if comparison.minus else None,
            "gate": comparison.check.gate,
            "side": bound.side,
            "margin": bound.margin,
            "missing": missing,
            "planned": True,
            "verdict": NOT_MEASURED if missing else None,
            "effect": None,
            "ci": None,
            "smallest_effect": None,
            "seeds": 0,
            "effects": {},
            "flagged": [],
            "doubted": False,
            "reason": "",
            **judged,
        }


def _doubtful(side: str, value_flagged: bool, minus_flagged: bool = False) -> set[str]:
    """The verdicts that a flag takes away. A flagged attack may be too weak, so the true score may be
    lower: the true effect may be smaller when ``value`` is flagged, and larger when ``minus`` is."""
    if side == "within":  # an effect that is too large can make or break a tie
        return {HOLDS, FAILS} if value_flagged or minus_flagged else set()
    needs_large, needs_small = (HOLDS, FAILS) if side == "above" else (FAILS, HOLDS)
    return ({needs_large} if value_flagged else set()) | ({needs_small} if minus_flagged else set())


def describe(comparison: Comparison, study: Study) -> str:
    """``F1, joint pair: EAT - AT``."""
    value, minus = comparison.value, comparison.minus
    first, what = study.label(value.method), _measure(value, study)
    if minus is None:
        return f"{what}: {first}"
    second, other = study.label(minus.method), _measure(minus, study)
    if what == other:
        return f"{what}: {first} \N{MINUS SIGN} {second}"
    whose = f"{second}: " if second != first else ""
    return f"{first}: {what} \N{MINUS SIGN} {whose}{other}"


def _measure(side: Selection, study: Study) -> str:
    parts = [study.metric_label(side.metric)]
    if side.suite == "transfer":
        parts.append(f"transfer {side.detail.replace('_', ' ')}".strip())
    if side.attack:
        parts.append(attack_label(side.attack))
    parts += [f"{key} {getattr(side, key):g}" for key in ("eps", "steps", "fraction") if getattr(side, key)]
    if side.view == "member":
        parts.append("mean single member")
    return ", ".join(parts)


def _planned(details: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The comparisons that count, and those of blocks whose plan lacks a method that another block has."""

    def key(detail: dict[str, Any]) -> str:
        return json.dumps([detail["check"], detail["value"], detail["minus"]], sort_keys=True)

    somewhere = {key(detail) for detail in details if detail["planned"]}
    skipped = [detail for detail in details if not detail["planned"] and key(detail) in somewhere]
    return [detail for detail in details if detail not in skipped], skipped


def _gaps(study: Study, gated: list[dict[str, Any]], blocks: int) -> list[str]:
    """What lacks, each once; where it lacks is said unless it lacks everywhere."""
    places: dict[str, list[str]] = {}
    for detail in gated:
        for gap in detail["missing"]:
            places.setdefault(gap, []).append(study.block_label(*(detail[key] for key in BLOCK)))
    return [
        gap if len(set(where)) == blocks else f"{gap} on {' and '.join(_unique(where))}"
        for gap, where in places.items()
    ]


def _deciding(verdict: str, gated: list[dict[str, Any]]) -> dict[str, Any] | None:
    same = [detail for detail in gated if detail["verdict"] == verdict and detail["effect"] is not None]
    return min(same, key=_room, default=None)


def _room(detail: dict[str, Any]) -> float:
    """How far the effect lies on the claim's side of the margin."""
    effect, margin = detail["effect"], detail["margin"]
    return {"above": effect - margin, "below": margin - effect, "within": margin - abs(effect)}[
        detail["side"]
    ]


def _reason(verdict: str, missing: list[str], flagged: list[str], deciding: dict | None) -> str:
    parts = [f"missing: {'; '.join(missing)}"] if verdict == NOT_MEASURED else []
    if deciding and not deciding["doubted"]:  # the flags say why it is doubted
        parts.append(_could_have_shown(deciding) if verdict == UNDECIDED else deciding["reason"])
    if flagged:  # whatever the verdict: the reader should know
        parts.append(f"flagged: {', '.join(flagged)}")
    return "; ".join(part for part in parts if part)


def _could_have_shown(detail: dict[str, Any]) -> str:
    side, smallest = detail["side"], detail["smallest_effect"]
    if smallest is None:
        return detail["reason"]
    effect = "a tie within" if side == "within" else f"an effect {side}"
    return f"these seeds could have shown {effect} {smallest:.3f}"


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
