"""A chain in words, for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gauntlet.report.claims.board import numbers
from gauntlet.report.claims.words import evidence
from gauntlet.report.links import search
from gauntlet.report.provenance.chain import Chain, Data, Job, Trials
from gauntlet.report.trials import flatten
from gauntlet.report.vocabulary import BLOCK, CELL, scale_label

#: So many of each are printed, and the rest is counted: a figure may show hundreds of trials.
ROWS, CELLS, COMMANDS = 10, 12, 24

#: Up to so many cells are printed with their files and configuration.
WHOLE = 2

#: Digits of a hash; ``--json`` has all.
DIGITS = 16


def text(chain: Chain, tracked: Mapping[str, str]) -> str:
    """The chain from what was asked for down to data and commands.

    Args:
        tracked: trial -> the id of its run in MLflow, as ``track`` left them.
    """
    lines = [f"{chain.kind} {chain.target}: {chain.study}, {scale_label(chain.scale)}"]
    lines += [f"  {line}" for line in _cut(_found(chain), ROWS)]
    lines += ["", "measurements"]
    lines += [f"  {file}  {_hash(digest)}" for file, digest in chain.files.items()]
    seeds = sum(len(entry.seeds) for entry in chain.trials)
    lines += ["", f"trials: {seeds}, cells: {len(chain.trials)}"]
    if len(chain.trials) <= WHOLE:
        lines += [f"  {line}" for entry in chain.trials for line in _whole(entry, tracked)]
    else:
        narrower = f"more; narrow it down by {'=, '.join(CELL)}=, seed="
        lines += [f"  {line}" for line in _cut(map(_brief, chain.trials), CELLS, narrower)]
    for data in chain.data:
        lines += ["", *_data(data)]
    lines += ["", "to compute it again"]
    commits = sorted({commit for entry in chain.trials for commit in entry.commits})
    if len(commits) == 1 and commits[0].isalnum() and commits[0] != "unknown":
        lines.append(
            f"  git checkout {commits[0]} && make setup   # the code and environment that measured it"
        )
    elif commits:
        lines.append(f"  measured at commit {', '.join(commits)}")
    lines += [f"  {line}" for line in _cut(chain.commands, COMMANDS, "more; --json has all")]
    lines += ["  or, all in one:", f"  {chain.snakemake if len(chain.snakemake) < 1000 else 'see --json'}"]
    lines += [f"note: {note}" for note in chain.notes]
    return "\n".join(lines)


def _cut(entries: Iterable[str], most: int, rest: str = "more") -> list[str]:
    entries = list(entries)
    return entries if len(entries) <= most else [*entries[:most], f"... {len(entries) - most} {rest}"]


def _hash(digest: str) -> str:
    return f"sha256 {digest[:DIGITS]}" if len(digest) == 64 else digest


def _found(chain: Chain) -> Iterator[str]:
    if chain.kind == "claim":
        verdict, *details = chain.found
        yield f"{verdict['statement']}: {verdict['verdict']}  {numbers(verdict)}".rstrip()
        yield from filter(None, (verdict["reason"], evidence(verdict)))
        for detail in details:
            seeds = ", ".join(f"{seed}: {value:+.4g}" for seed, value in detail["effects"].items())
            yield f"{detail['what']}: {detail['verdict']}" + (f"  (seed {seeds})" if seeds else "")
        return
    for row in chain.found:
        yield _row(row)
        for measured in row.get("measured", []):
            yield f"  seed {measured['seed']}: {measured['value']:.6g}"


def _row(row: Mapping[str, Any]) -> str:
    shown = {key: value for key, value in row.items() if key != "measured" and value not in ("", None)}
    return "  ".join(
        f"{key}={value:.6g}" if isinstance(value, float) else f"{key}={value!s:.40}"
        for key, value in shown.items()
    )


def _name(entry: Trials) -> str:
    where = "/".join(getattr(entry, key) for key in BLOCK if getattr(entry, key))
    return f"{entry.method} on {where}, seed {', '.join(map(str, entry.seeds))}"


def _brief(entry: Trials) -> str:
    commits = ", ".join(commit[:9] for commit in entry.commits)
    return f"{_name(entry)}: {entry.cell}, commit {commits or 'not recorded'}"


def _whole(entry: Trials, tracked: Mapping[str, str]) -> list[str]:
    lines = [_name(entry), f"  cell  {entry.cell}"]
    for job in entry.jobs:
        lines += _job(job)
    settings = flatten(entry.config) or {"not here": "the job's sidecar is not on this machine"}
    lines += ["  configuration", *(f"    {key}: {value}" for key, value in settings.items())]
    for run in entry.runs.values():
        if found := tracked.get(run["trial"]):
            lines.append(f"  MLflow  run {found} ({run['name']}); search {search(run['trial'])}")
    return lines


def _job(job: Job) -> list[str]:
    versions = job.environment.get("libraries", {})
    environment = [f"Python {job.environment.get('python', 'not recorded')}"]
    environment += [f"{name} {version}" for name, version in versions.items()]
    device, started, commit = (value or "not recorded" for value in (job.device, job.started, job.commit))
    lines = [
        f"  {job.step}  {job.seconds:g} s on {device}, {started}, commit {commit}",
        f"    environment  {', '.join(environment)}",
    ]
    for verb, files in (("reads", job.inputs), ("writes", job.outputs)):
        lines += [f"    {verb}  {file}  {_hash(digest)}" for file, digest in files.items()]
        if not files:
            lines.append(f"    {verb}  (hashes not recorded)")
    return lines


def _data(data: Data) -> list[str]:
    told = "as the jobs recorded" if data.recorded else "as this checkout's registry has them"
    version = f", DVC {', '.join(data.versions)}" if data.versions else ""
    lines = [f"data {data.name}: {data.title}, licence {data.licence}{version}", f"  prepared files, {told}"]
    lines += [f"    {file}  {_hash(digest)}" for file, digest in data.prepared.items()]
    lines += ["  made from"] + [f"    {file}  {_hash(digest)}" for file, digest in data.source.items()]
    return lines
