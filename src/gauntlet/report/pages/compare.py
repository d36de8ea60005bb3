"""A run against another run of the same study and scale: which scores and verdicts moved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gauntlet.core.errors import GauntletError
from gauntlet.report.claims.board import numbers
from gauntlet.report.measurements import MANIFEST, Measurements
from gauntlet.report.study import Study
from gauntlet.report.vocabulary import BLOCK, CELL

#: What tells two scores of a seed apart.
KEYS = [*CELL, "suite", "attack", "eps", "steps", "fraction", "view", "detail", "metric"]

#: At most so many scores that moved are listed, those that moved most first.
LISTED = 100

#: Where a copy of a run may have a study's measurements: published/, results/studies/, results/, a clone.
PLACES = ("", "studies", "results/studies")


def find(folder: str | Path, study: str, scale: str) -> Path | None:
    """The measurements of a study at a scale in a copy of a run, if any."""
    places = (Path(folder) / place / study / scale for place in PLACES)
    return next((place for place in places if (place / MANIFEST).is_file()), None)


def find_all(folder: str | Path, wanted: Mapping[str, str]) -> dict[str, Path]:
    """Study -> its measurements in a copy of a run, of those that it has.

    Args:
        wanted: study -> scale.

    Raises:
        GauntletError: it has none of them.
    """
    found = {study: place for study, scale in wanted.items() if (place := find(folder, study, scale))}
    if not found:
        study, scale = next(iter(wanted.items()))
        raise GauntletError(
            "no measurements of this run's studies at its scale are in this folder",
            file=folder,
            key="--against",
            remedy=f"name a folder with {study}/{scale}/{MANIFEST}, such as published/ or a copy of results/",
        )
    return found


def compare(
    study: Study,
    ours: Measurements,
    theirs: Measurements,
    claims: Mapping[str, Any],
    other_claims: Mapping[str, Any],
) -> dict[str, Any]:
    """Scores seed by seed and claims one by one; costs differ between any two runs and are left out.

    Args:
        claims, other_claims: the study's claims as judged on either (``judge_study``).

    Returns: ``counts`` of scores (a score is a mean over the seeds that both have): ``identical`` (every seed
    to the bit), ``within`` (they differ, and the paired 95% t interval covers 0), ``beyond``, ``unknown``
    (they differ, and one common seed gives no interval), ``ours`` and ``theirs`` (in one run alone).
    ``moved``: the scores beyond noise, the clearest first, at most ``LISTED``; ``claims``: both verdicts;
    ``tables``: table -> whether both runs have it with the same bytes.
    """
    counts, moved = _scores(study, ours, theirs)
    mine, other = ours.manifest["tables"], theirs.manifest["tables"]
    shared = sorted(mine.keys() & other.keys())
    return {
        "folder": theirs.folder.as_posix(),
        "commits": sorted({step["commit"] for step in _steps(theirs) if step.get("commit")}),
        "tables": {name: mine[name]["sha256"] == other[name]["sha256"] for name in shared},
        "counts": counts,
        "moved": moved,
        "claims": [
            {
                "key": key,
                "verdict": claim["verdict"],
                "numbers": numbers(claim),
                "other_verdict": other_claims[key]["verdict"],
                "other_numbers": numbers(other_claims[key]),
                "moved": claim["verdict"] != other_claims[key]["verdict"],
            }
            for key, claim in claims.items()
        ],
    }


def _steps(measurements: Measurements):
    cells = measurements.manifest["cells"]
    return [cell[step] for cell in cells for step in ("train", "attack") if step in cell]


def _scores(study: Study, ours: Measurements, theirs: Measurements):
    columns = [*KEYS, "seed", "value"]
    both = ours.scores[columns].merge(
        theirs.scores[columns], on=[*KEYS, "seed"], how="outer", suffixes=("", "_other"), indicator="where"
    )
    paired = both[both["where"] == "both"]
    kept = paired[KEYS].drop_duplicates()
    counts = {"identical": 0, "within": 0, "beyond": 0, "unknown": 0}
    counts |= {"ours": _alone(both, "left_only", kept), "theirs": _alone(both, "right_only", kept)}
    found = _intervals(paired)
    for kind in ("identical", "within", "beyond", "unknown"):
        counts[kind] = int((found["kind"] == kind).sum())
    beyond = found[found["kind"] == "beyond"]
    order = (beyond["mean"].abs() / beyond["half"].clip(lower=1e-12)).sort_values(ascending=False).index
    return counts, [_moved(study, row) for row in beyond.loc[order[:LISTED]].itertuples()]


def _alone(both, where: str, kept) -> int:
    """Scores of one run alone: no seed of theirs is in both."""
    only = both.loc[both["where"] == where, KEYS].drop_duplicates()
    return len(only) - len(only.merge(kept, on=KEYS))


def _intervals(paired):
    """Per score: means, the paired difference, the half-width of its 95% t interval, seeds, and its kind."""
    import numpy as np
    from scipy.special import stdtrit

    equal = (paired["value"] == paired["value_other"]) | (
        paired["value"].isna() & paired["value_other"].isna()
    )
    rows = paired.assign(equal=equal, difference=(paired["value"] - paired["value_other"]).where(~equal, 0.0))
    found = rows.groupby(KEYS, as_index=False).agg(
        value=("value", "mean"),
        other=("value_other", "mean"),
        mean=("difference", "mean"),
        deviation=("difference", "std"),
        seeds=("difference", "count"),
        equal=("equal", "all"),
    )
    n = found["seeds"].to_numpy()
    quantile = np.where(n > 1, stdtrit(np.maximum(n - 1, 1), 0.975), np.nan)
    found["half"] = quantile * found["deviation"] / np.sqrt(np.maximum(n, 1))
    beyond = found["mean"].abs() > found["half"] + 1e-12
    kinds = np.select([found["equal"], n < 2, beyond], ["identical", "unknown", "beyond"], "within")
    return found.assign(kind=kinds)


def _moved(study: Study, row) -> dict[str, Any]:
    suite = "" if row.suite == "main" else row.suite
    sizes = [f"{name} {getattr(row, name):g}" for name in ("eps", "steps", "fraction") if suite == name]
    about = [study.metric_label(row.metric), study.attack_label(row.attack), suite, *sizes, row.detail]
    return {
        "method": study.label(row.method),
        "where": study.block_label(*(getattr(row, name) for name in BLOCK)),
        "what": ", ".join(part for part in about if part) + (", mean member" if row.view == "member" else ""),
        "value": row.value,
        "other": row.other,
        "mean": row.mean,
        "half": row.half,
        "seeds": row.seeds,
        "cell": tuple(getattr(row, name) for name in CELL),
    }
