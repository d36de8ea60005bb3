"""The links between a number and what it came from, as data: trials, jobs, data sets, commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gauntlet.core.blocks import seeds_of
from gauntlet.core.provenance import read_sidecar, sidecar_path
from gauntlet.data import registry
from gauntlet.models.weights import base as pretrained
from gauntlet.report import trials
from gauntlet.report.measurements import Measurements
from gauntlet.report.vocabulary import CELL

#: Steps of a cell in the order of running.
STEPS = ("train", "attack")

#: Where the weights of a cell end.
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Job:
    """One job of a cell, as its sidecar and the manifest tell of it. Empty: not recorded."""

    step: str
    folder: str
    commit: str
    device: str
    started: str
    seconds: float
    data_version: str
    environment: dict[str, Any]
    inputs: dict[str, str]  #: file -> SHA-256
    outputs: dict[str, str]


@dataclass(frozen=True)
class Trials:
    """The trials of one cell: one dataset, setting, architecture and method, some of its seeds."""

    dataset: str
    setting: str
    architecture: str
    method: str
    block: str
    seeds: list[int]
    cell: str  #: its name on the command line
    jobs: list[Job]
    config: dict[str, Any]  #: identity and evaluate, resolved; empty where nothing here has it
    runs: dict[int, dict[str, str]]  #: seed -> name and trial of its run in MLflow
    needed: list[str]  #: weights of other studies' cells that its jobs read

    @property
    def commits(self) -> list[str]:
        return list(dict.fromkeys(job.commit for job in self.jobs if job.commit))


@dataclass(frozen=True)
class Data:
    """A data set: what its prepared files must be, and what they were prepared from.

    ``recorded`` says whether the jobs recorded these hashes; otherwise they are those of this checkout.
    """

    name: str
    title: str
    licence: str
    versions: list[str]  #: DVC's hash of the pinned folder, as the jobs recorded it
    prepared: dict[str, str]
    source: dict[str, str]
    recorded: bool


@dataclass(frozen=True)
class Chain:
    """What is behind a figure, a table, a claim, or numbers.

    Args:
        kind: ``figure``, ``table``, ``claim`` or ``number``.
        folder: the gathered measurements that it was made from, with their ``files`` (-> SHA-256).
        found: what was asked for: rows of the figure, comparisons of the claim, or measured numbers.
        notes: what could not be followed, in words.
        commands: plain commands that compute it again, in order; ``snakemake`` is the one that does all.
    """

    target: str
    kind: str
    study: str
    scale: str
    folder: str
    files: dict[str, str]
    found: list[dict[str, Any]]
    trials: list[Trials]
    data: list[Data]
    notes: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    snakemake: str = ""


def trials_behind(
    measurements: Measurements,
    wanted: Mapping[tuple[str, ...], Iterable[int] | None],
    rows: Sequence[Mapping[str, Any]] = (),
) -> list[Trials]:
    """The trials of some cells.

    Args:
        wanted: (dataset, setting, architecture, method) -> seeds; None for all that were measured.
        rows: the plan's (``StudyPlan.present``), from which configurations are taken that no sidecar has.
    """
    found = []
    for cell in measurements.manifest["cells"]:
        key = tuple(cell[name] for name in CELL)
        if key not in wanted:
            continue
        asked = wanted[key]
        seeds = [seed for seed in seeds_of(cell["block"]) if asked is None or seed in asked]
        if seeds:
            found.append(_trials(measurements, cell, seeds, rows))
    return found


def _trials(
    measurements: Measurements, cell: dict[str, Any], seeds: list[int], rows: Sequence[Mapping[str, Any]]
) -> Trials:
    jobs = [_job(step, cell[step], measurements.manifest) for step in STEPS if step in cell]
    train = Path(jobs[0].folder)
    if jobs[0].step == "attack":  # a family that trains nothing
        train = train.parent
    spec = {**cell, "model": train.parent.name, "steps": {job.step: job.folder for job in jobs}}
    study = measurements.study
    return Trials(
        **{key: cell[key] for key in (*CELL, "block")},
        seeds=seeds,
        cell="/".join(train.parts[-5:]),
        jobs=jobs,
        config=_recorded(jobs) or _planned(spec, rows),
        runs={
            seed: {"name": trials.run_name(spec, seed), "trial": trials.trial_id(study, spec, seed)}
            for seed in seeds
        },
        needed=[f"{needed['folder']}/{WEIGHTS}" for needed in cell.get("needed", {}).values()],
    )


def _job(step: str, entry: dict[str, Any], manifest: dict[str, Any]) -> Job:
    return Job(
        step=step,
        folder=entry["folder"],
        environment=manifest["environments"][entry["environment"]],
        seconds=entry.get("seconds", 0.0),
        inputs=entry.get("inputs", {}),
        outputs=entry.get("outputs", {}),
        **{key: entry.get(key) or "" for key in ("commit", "device", "started", "data_version")},
    )


def _recorded(jobs: list[Job]) -> dict[str, Any]:
    """The resolved configuration from the sidecars of the jobs, where they are on this machine."""
    config: dict[str, Any] = {}
    for job in jobs:
        for name, digest in job.outputs.items():
            payload = Path(job.folder, name)
            if sidecar_path(payload).is_file() and (sidecar := read_sidecar(payload))["sha256"] == digest:
                config |= sidecar.get("config", {})
    return {key: config[key] for key in ("identity", "evaluate") if key in config}


def _planned(spec: dict[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The configuration that the plan gives the cell, if its hashes are those in the names of its folders."""
    for row in rows:
        if all(row[key] == spec[key] for key in (*CELL, "block")) and row["steps"] == spec["steps"]:
            return {"identity": row["identity"], "evaluate": row["evaluate"]}
    return {}


def data_behind(found: Iterable[Trials]) -> list[Data]:
    """The data sets that trials read, in order of appearance."""
    jobs: dict[str, list[Job]] = {}
    for entry in found:
        method = entry.config.get("identity", {}).get("method", {})
        for name in filter(None, (entry.dataset, method.get("natural"))):
            jobs.setdefault(name, []).extend(entry.jobs)
    return [_data(name, of) for name, of in jobs.items() if name in registry.names()]


def _data(name: str, jobs: list[Job]) -> Data:
    entry = registry.entry(name)
    read = {
        file: digest
        for job in jobs
        for file, digest in job.inputs.items()
        if Path(file).parent.as_posix() == entry.folder
    }
    here = {f"{entry.folder}/{file}": digest for file, digest in (entry.prepared or {}).items()}
    return Data(
        name=name,
        title=entry.title,
        licence=entry.licence,
        versions=sorted({job.data_version for job in jobs if job.data_version}),
        prepared=read or here,
        source={
            file.name: file.sha256 or f"md5 {file.md5}" for file in entry.files.values() if _hashed(file)
        },
        recorded=bool(read),
    )


def _hashed(file: registry.RawFile) -> bool:
    return bool(file.sha256 or file.md5)


def job_commands(found: Iterable[Trials], config: str) -> list[str]:
    """The plain commands that make the measurements of trials again: data, needed weights, the cells.

    Args:
        config: the scale file.
    """
    found = list(found)
    names = [data.name for data in data_behind(found)]
    commands = [f"gauntlet data fetch {' '.join(names)}"] if names else []
    for entry in found:
        for job in entry.jobs:
            for file in map(Path, (*entry.needed, *job.inputs)):
                if file.name == WEIGHTS and file.parent.as_posix() != entry.jobs[0].folder:
                    commands.append(_command("train", "/".join(file.parts[-6:-1]), config))
                elif file.parent == pretrained.FOLDER:
                    commands.append(f"gauntlet models fetch {entry.architecture}")
            attack = f" --attack {Path(job.folder).name}" if job.step == "attack" else ""
            commands.append(_command(job.step, entry.cell, config) + attack)
    return list(dict.fromkeys(commands))


def _command(step: str, cell: str, config: str) -> str:
    return f"gauntlet {cell.split('/')[0]} {step} --config {config} --cell {cell}"


def job_files(found: Iterable[Trials]) -> list[str]:
    """One output of the last job of every cell: what Snakemake is asked for."""
    files = []
    for entry in found:
        last = entry.jobs[-1]
        files.append(f"{last.folder}/{'scores' if last.step == 'attack' else 'training'}.parquet")
    return list(dict.fromkeys(files))
