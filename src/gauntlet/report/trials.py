"""A finished trial as the tracker sees it: names, parameters, metrics and rows, read from its files.

Knows measurement files, not MLflow.
"""

from __future__ import annotations

import calendar
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gauntlet.core import pulse
from gauntlet.core.files import digest_json, read_json, read_parquet, sha256_file
from gauntlet.core.provenance import sidecar_path
from gauntlet.report.vocabulary import BLOCK

#: Raise it when what is ingested of a trial changes: every run is then made anew.
LAYOUT = 2

#: Samples of a job that are ingested.
SAMPLES = 200

#: Suites that vary one quantity: its column, and how it becomes a whole number for MLflow's x axis.
SWEEPS = {
    "eps": lambda row: round(row.eps * 1000),
    "steps": lambda row: int(row.steps),
    "fraction": lambda row: round(row.fraction * 1000),
}


#: Metrics whose mean over seeds tells nothing, or that are many: sweeps, transfers, members.
ELSEWHERE = (*(f"{suite} sweep/" for suite in SWEEPS), "transfer/", "train/member ")


@dataclass(frozen=True)
class Cell:
    """A finished cell: its files are there, whole, and what their sidecars say they are."""

    spec: dict[str, Any]
    files: dict[str, Path]  # of the tables in POINTS that the cell has
    sidecars: dict[str, dict]
    payload: str

    @property
    def training(self) -> dict:
        """The sidecar of what its first job wrote: its training, where it has one."""
        folder = Path(next(iter(self.spec["steps"].values())))
        return next(self.sidecars[name] for name, file in self.files.items() if file.parent == folder)

    def tables(self) -> dict[str, Any]:
        """The tables as DataFrames, all seeds of the block."""
        return {name: read_parquet(file) for name, file in self.files.items()}


def open_cell(spec: dict[str, Any]) -> Cell | None:
    """The cell's files, or None while its jobs are not done (or wrote a file this moment).

    Args:
        spec: a row of the plan: ``dataset``, ``setting``, ``architecture``, ``method``, ``model``,
            ``block``, ``seeds``, ``identity``, ``steps`` (step -> folder), ``tables`` (table -> file).
    """
    files = {name: Path(spec["tables"][name]) for name in POINTS if name in spec["tables"]}
    if not all(file.is_file() and sidecar_path(file).is_file() for file in files.values()):
        return None
    sidecars = {name: read_json(sidecar_path(file)) for name, file in files.items()}
    hashes = [sha256_file(file) for file in files.values()]
    if hashes != [sidecar.get("sha256") for sidecar in sidecars.values()]:
        return None
    return Cell(spec, files, sidecars, digest_json([LAYOUT, *hashes], length=32))


def cell_id(study: str, spec: dict[str, Any]) -> str:
    """The unique name of a trial and of those that differ from it by seed; the block is not part of it, so
    regrouped seeds keep theirs."""
    parts = [study, spec["dataset"], spec["architecture"], spec["model"]]
    if attack := spec["steps"].get("attack"):
        parts.append(Path(attack).name.removeprefix("attack-"))
    return "/".join(parts)


def trial_id(study: str, spec: dict[str, Any], seed: int) -> str:
    """The trial's unique name in the tracker."""
    return f"{cell_id(study, spec)}/{seed}"


def cell_name(spec: dict[str, Any]) -> str:
    where = "/".join(spec[key] for key in BLOCK if spec[key])
    return f"{spec['method']} {where}"


def run_name(spec: dict[str, Any], seed: int) -> str:
    return f"{cell_name(spec)} seed {seed}"


def parameters(spec: dict[str, Any], seed: int | None = None) -> dict[str, str]:
    """All that determined the trial (the cell, without a seed), flat: ``{"train.lr": "0.001", ...}``."""
    flat = flatten({**spec["identity"], "evaluate": spec.get("evaluate", {})})
    named = {"label": spec["method"]} | ({} if seed is None else {"seed": str(seed)})
    return named | ({"setting": spec["setting"]} if spec["setting"] else {}) | flat


def labels(study: str, spec: dict[str, Any], seed: int | None = None) -> dict[str, str]:
    """What runs are looked for by: short names, without what is empty."""
    named = {key: spec[key] for key in ("dataset", "setting", "architecture", "method")}
    return {
        key: str(value)
        for key, value in {"study": study, **named, "seed": seed}.items()
        if value not in ("", None)
    }


def flatten(value: Any, prefix: str = "") -> dict[str, str]:
    """Nested settings under dotted keys, as text."""
    if isinstance(value, dict):
        found: dict[str, str] = {}
        for key, inner in value.items():
            found |= flatten(inner, f"{prefix}.{key}" if prefix else str(key))
        return found
    return {prefix: str(value)}


def curves(training) -> list[tuple[str, int, float]]:
    """(metric, epoch, value) of one seed: the mean loss, each member's of an ensemble, and the cost.

    A member that an epoch did not update has no loss (NaN) and no point.
    """
    points = []
    for epoch, rows in training.groupby("epoch"):
        updated = rows[rows["loss"].notna()]
        if len(updated):
            points.append(("train/loss", int(epoch), float(updated["loss"].mean())))
        if len(rows) > 1:
            points += [
                (f"train/member {row.member}/loss", int(epoch), float(row.loss))
                for row in updated.itertuples()
            ]
        points.append(("train/passes", int(epoch), float(rows["passes"].max())))
    return points


def results(scores) -> list[tuple[str, int, float]]:
    """(metric, step, value) of one seed's score rows.

    ``worst/recall_at_1`` is a headline score; ``eps sweep/joint_pair/recall_at_1`` has a point per
    budget, at step 1000 eps (likewise the fraction; the sweep over steps is as it is); and
    ``transfer/joint_pair/0 to 1/recall_at_1`` is one entry of the transfer matrix.
    """
    points = []
    for row in scores.itertuples():
        sweep = SWEEPS.get(row.suite)
        parts = [row.attack, "" if row.view == "ensemble" else row.view, row.detail, row.metric]
        if row.suite != "main":
            parts.insert(0, f"{row.suite} sweep" if sweep else row.suite)
        points.append((metric_name(*parts), sweep(row) if sweep else 0, float(row.value)))
    return points


def accuracy(rounds) -> list[tuple[str, int, float]]:
    """(metric, round, value) of one seed's rounds: the global model's test accuracy."""
    sums = rounds.groupby("round")[["correct", "total"]].sum()
    return [("test/accuracy", int(row.Index), float(row.correct / row.total)) for row in sums.itertuples()]


def theft(progress) -> list[tuple[str, int, float]]:
    """(metric, queries, value) of one seed's substitute."""
    return [
        (f"test/{quantity}", int(row.queries), float(getattr(row, quantity)))
        for row in progress.itertuples()
        for quantity in ("accuracy", "agreement")
    ]


#: Tables that are ingested, and the (metric, step, value) points that one seed's rows give. Those of the
#: training come first.
POINTS = {"training": curves, "rounds": accuracy, "progress": theft, "scores": results}


def means(points: list[list[tuple[str, int, float]]]) -> list[tuple[str, int, float]]:
    """The mean over seeds of what each ends with: of scores that are no sweep, and of curves' last values.

    Args:
        points: of every seed, as the functions of ``POINTS`` give them.
    """
    found: dict[str, list[float]] = {}
    for of_seed in points:
        last = {name: value for name, _, value in of_seed if not name.startswith(ELSEWHERE)}
        for name, value in last.items():
            found.setdefault(name, []).append(value)
    return [(f"mean/{name}", 0, sum(values) / len(values)) for name, values in found.items()]


def seconds(cell: Cell) -> list[tuple[str, int, float]]:
    """What each of the cell's jobs took, all seeds of its block together."""
    found = {sidecar["step"].split()[-1]: sidecar["seconds"] for sidecar in cell.sidecars.values()}
    return [(f"seconds/{step}", 0, value) for step, value in found.items()]


#: A job's sample (``core.pulse``) -> MLflow's name for it, where it has one.
SYSTEM = {
    "machine_cpu": "system/cpu_utilization_percentage",
    "machine_memory": "system/system_memory_usage_megabytes",
    "gpu_memory": "system/gpu_0_memory_usage_megabytes",
    "cpu": "system/process_cpu_percentage",
    "memory": "system/process_memory_megabytes",
}


def system(cell: Cell) -> list[tuple[str, int, float, int]]:
    """(metric, sample, value, milliseconds since 1970) of the cell's jobs, one after the other; at most
    ``SAMPLES`` of each job, and none where it has kept none."""
    points, number = [], 0
    for folder in cell.spec["steps"].values():
        begun, *samples = pulse.read(Path(folder, "system.jsonl")) or [{}]
        for sample in samples[:: 1 + len(samples) // SAMPLES]:
            when = round(1000 * (begun["started"] + sample["seconds"]))
            points += [(SYSTEM[key], number, sample[key], when) for key in SYSTEM if key in sample]
            number += 1
    return points


def metric_name(*parts: str) -> str:
    """Parts joined in a form that MLflow accepts: letters, digits, ``_ - . / :`` and space."""
    name = "/".join(part for part in parts if part)
    return name.replace("@", "_at_").replace("->", " to ")


def span(sidecars: list[dict]) -> tuple[int, int]:
    """Start of the first job and end of the last, milliseconds since 1970; (0, 0) if not recorded."""
    try:
        start = 1000 * _epoch(sidecars[0]["started"])
        end = 1000 * _epoch(sidecars[-1]["started"]) + round(1000 * sidecars[-1]["seconds"])
    except (KeyError, ValueError):
        return 0, 0
    return start, max(start, end)


def _epoch(text: str) -> int:
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
