"""Judge a study's claims on its measurements, by one rule. docs/claims.md states the rule."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gauntlet.core.errors import GauntletError
from gauntlet.report.claims.block import Block
from gauntlet.report.claims.correction import claim_p, correct
from gauntlet.report.claims.evidence import resolution
from gauntlet.report.claims.model import Claim
from gauntlet.report.claims.statistics import FAILS, HOLDS, NOT_MEASURED, UNDECIDED
from gauntlet.report.claims.words import unique
from gauntlet.report.measurements import Measurements, read
from gauntlet.report.study import Study, load
from gauntlet.report.vocabulary import BLOCK, scale_label


def judge_study(study_file: str | Path, folder: str | Path) -> dict[str, Any]:
    """Judge every claim of a study on the measurements in ``folder`` (results or published).

    Returns: ``{study, title, scale, label, claims: {id: {...}}}``, JSON-ready; see ``judge_claim``.
    """
    study, measurements = load(study_file), read(folder)
    claims = {
        key: judge_claim(claim, study, measurements, file=study_file, key=f"claims.{key}")
        for key, claim in study.claims.items()
    }
    corrected = correct(claims, study.correction)
    return {
        "study": study.study,
        "title": study.title,
        "scale": measurements.scale,
        "label": scale_label(measurements.scale),
        "claims": {key: {**claim, "corrected": corrected[key]} for key, claim in claims.items()},
    }


def judge_claim(
    claim: Claim, study: Study, measurements: Measurements, *, file: str | Path = "", key: str = ""
) -> dict[str, Any]:
    """One claim over all its comparisons, in every block (dataset, setting, architecture) in scope.

    A comparison is asked only of the blocks whose plan has its methods, as long as one has; the others
    are listed under ``not_planned``. The claim fails when a gated comparison fails; else it is not
    measured when one is; else undecided when one is; else it holds. ``effect``, ``ci`` and ``margin`` are
    those of the gated comparison that decides: the one with the least room among those that share the
    claim's verdict. ``p`` is that of the whole claim (``correction.claim_p``).
    """
    blocks = _in_scope(claim, measurements)
    details = []
    for block, checks in _asked(claim, blocks).items():
        judged = Block(study, measurements, block)
        for index, check in checks:
            try:
                details += [dict(detail, check=index) for detail in judged.details(check)]
            except ValueError as error:
                raise GauntletError(
                    str(error), file=file, key=f"{key}.checks.{index}", remedy="narrow the selection"
                ) from error
    asked, skipped = _planned(details)
    gated = [detail for detail in asked if detail["gate"]]
    verdict = combine(detail["verdict"] for detail in gated)
    missing = _gaps(study, gated, blocks)
    not_planned = _gaps(study, [detail for detail in skipped if detail["gate"]], [])
    if not blocks:
        scope = [name for key in BLOCK for name in getattr(claim.scope, key) or []]
        missing = [" and ".join(scope) or "any dataset"]
    deciding = _deciding(verdict, gated)
    flagged = unique(flag for detail in gated for flag in detail["flagged"])
    compared = [check.baseline.method if check.baseline else None for check in claim.checks]
    absent = unique(
        study.label(method)
        for methods in filter(None, compared)
        for method in methods.present
        if method not in study.methods_at(measurements.scale)
    )
    rivals = unique(
        study.label((detail["minus"] or detail["over"])["method"])
        for detail in asked
        if compared[detail["check"]] and (detail["minus"] or detail["over"])
    )
    return {
        "statement": claim.statement,
        "paper": claim.paper,
        "note": claim.note,
        "verdict": verdict,
        "reason": _reason(verdict, missing + _nowhere(claim, measurements, file, key), flagged, deciding),
        "p": claim_p(gated),
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
            for field in (
                "what",
                "effect",
                "ci",
                "side",
                "margin",
                "smallest_effect",
                "detectable",
                "test",
                "tests",
                "bootstrap",
            )
        },
        "limits": unique(filter(None, (resolution(detail["seeds"]) for detail in asked))),
        "details": asked,
    }


def _in_scope(claim: Claim, measurements: Measurements) -> list[tuple[str, str, str]]:
    """The blocks that the claim is about. One of derived scores alone, such as a mean over datasets, is so
    only where the claim's scope names its dataset."""
    wanted = [getattr(claim.scope, key) for key in BLOCK]
    blocks = set(measurements.blocks)
    if claim.scope.dataset:
        blocks |= set(measurements.scores[BLOCK].itertuples(index=False, name=None))
    return sorted(
        block
        for block in blocks
        if all(names is None or name in names for name, names in zip(block, wanted, strict=True))
    )


def _asked(claim: Claim, blocks: list[tuple[str, str, str]]) -> dict[tuple[str, str, str], list]:
    """Block -> the (index, check) that are asked there. A check with settings of its own is asked there
    alone, and even where there is no such block: what lacks must be said."""
    asked: dict[tuple[str, str, str], list] = {block: [] for block in blocks}
    for index, check in enumerate(claim.checks):
        places = blocks
        if check.value.setting:
            around = dict.fromkeys((dataset, architecture) for dataset, _, architecture in blocks)
            places = [(d, setting, a) for d, a in around for setting in check.value.setting]
        for place in places:
            asked.setdefault(place, []).append((index, check))
    return asked


def combine(verdicts: Iterable[str]) -> str:
    """The verdict of a claim from those of its gated comparisons."""
    verdicts = set(verdicts)
    for verdict in (FAILS, NOT_MEASURED, UNDECIDED):
        if verdict in verdicts:
            return verdict
    return HOLDS if verdicts else NOT_MEASURED


def _planned(details: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The comparisons that count, and those of blocks whose plan lacks a method that another block has."""

    def key(detail: dict[str, Any]) -> str:
        return json.dumps([detail[part] for part in ("check", "value", "minus", "over")], sort_keys=True)

    somewhere = {key(detail) for detail in details if detail["planned"]}
    skipped = [detail for detail in details if not detail["planned"] and key(detail) in somewhere]
    return [detail for detail in details if detail not in skipped], skipped


def _gaps(study: Study, gated: list[dict[str, Any]], blocks: list[tuple[str, str, str]]) -> list[str]:
    """What lacks, each once; where it lacks is said unless it lacks in all of ``blocks``."""
    places: dict[str, dict[str, None]] = {}
    for detail in gated:
        for gap in detail["missing"]:
            where = study.block_label(*(detail[key] for key in BLOCK))
            places.setdefault(gap, {})[where] = None
    everywhere = {study.block_label(*block) for block in blocks}
    return [
        gap if set(where) == everywhere else f"{gap} on {' and '.join(where)}"
        for gap, where in places.items()
    ]


def _nowhere(claim: Claim, measurements: Measurements, file: str | Path, key: str) -> list[str]:
    """The metrics and suites of a claim that the run has nowhere, such as a score that was not derived."""
    faults = []
    for index, check in enumerate(claim.checks):
        if not check.gate:
            continue
        suites = {check.value.suite, check.baseline and check.baseline.suite} - {None}
        for column, named in (("metric", {*check.metric, check.reached} - {""}), ("suite", suites)):
            for name in sorted(named - set(measurements.numbers[column])):
                where = f"{file}: {key}.checks.{index}"
                faults.append(f"{where}: no job measured {column} {name!r}, and no derived score gives it")
    return faults


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
