"""What would stop a run, looked for before anything is submitted."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gauntlet.cell import Cell
from gauntlet.cluster import slurm as cluster
from gauntlet.core.disk import size
from gauntlet.core.errors import GauntletError
from gauntlet.costs.place import Place
from gauntlet.data import registry, sizes

#: Sources that serve only what somebody has put there.
SUPPLIED = ("dvc", "folder")


class Check(NamedTuple):
    """``state`` is ``ok``, ``note`` (the run goes on) or ``fault`` (it cannot work)."""

    state: str
    text: str
    remedy: str = ""


def data(cells: Iterable[Cell]) -> list[Check]:
    """Datasets that are not prepared: fetched on the way, or to be brought by the user."""
    found, names = [], sorted(datasets(cells))
    ready = [name for name in names if is_prepared(name)]
    if ready:
        found.append(Check("ok", f"prepared: {', '.join(ready)}"))
    for name in names:
        if name in ready:
            continue
        entry = registry.entry(name)
        if all(source.kind in SUPPLIED for source in entry.sources):
            account = " from its publisher, with an account" if entry.terms == "account" else ""
            remedy = f"get its files{account}, set GAUNTLET_DATA to their folder, gauntlet data fetch {name}"
            found.append(Check("fault", f"dataset {name} is not here, and cannot be downloaded", remedy))
        else:
            remedy = f"gauntlet data fetch {name}, or let the run do it where there is a network"
            found.append(Check("note", f"dataset {name} is not prepared", remedy))
    return found


def data_bytes(cells: Iterable[Cell]) -> tuple[int, list[str]]:
    """Bytes that datasets not yet prepared will take, and those whose size the registry does not know.

    Their files and the prepared form are both counted.
    """
    total, unknown = 0, []
    for name in sorted(datasets(cells)):
        if is_prepared(name):
            continue
        files = [file.size for file in registry.entry(name).files.values()]
        total += sum(size for size in files if size) + (sizes.prepared_bytes(registry.entry(name)) or 0)
        if None in files:
            unknown.append(name)
    return total, unknown


def is_prepared(name: str) -> bool:
    """Whether the prepared form is there (its last file appears last; nothing is hashed)."""
    return (registry.folder(name) / "dataset.json").is_file()


def pretrained(cells: Iterable[Cell]) -> list[Check]:
    """ImageNet weights that networks begin with, and those of LPIPS."""
    from gauntlet.metrics import lpips
    from gauntlet.models import weights

    cells, found = list(cells), []
    for name in sorted({cell.architecture for cell in cells if cell.identity["train"].get("pretrained")}):
        if not (path := weights.path(name)).is_file():
            remedy = f"gauntlet models fetch {name}, or let the run do it where there is a network"
            found.append(Check("note", f"ImageNet weights of {name} are not at {path}", remedy))
    if any(cell.evaluate.get("lpips") for cell in cells):
        for name in lpips.FILES:
            if not (path := lpips.FOLDER / name).is_file():
                remedy = f"put it there ({lpips.SOURCES[name]}), or leave evaluate.lpips out"
                found.append(Check("fault", f"LPIPS asks for {path}, which is not there", remedy))
    return found


def disk(need: float, folder: Path = Path(".")) -> Check:
    """Whether the folder's disk has so many bytes left."""
    free = shutil.disk_usage(folder).free
    text = f"disk: {size(need)} needed, {size(free)} free"
    return Check("ok", text) if need <= free else Check("fault", text, "free some, or run on a larger disk")


def slurm(place: Place, rules: Iterable[str], longest: dict[str, float]) -> list[Check]:
    """Whether the site's partitions exist, and whether their limits and its runtimes suffice.

    Args:
        rules: of the run's jobs.
        longest: rule -> seconds of its longest job, where that is planned.
    """
    if not place.slurm:
        return []
    rules, found = sorted(set(rules)), []
    for rule in rules:
        minutes = place.minutes(rule)
        if minutes is not None and longest.get(rule, 0) > 60 * minutes:
            text = f"{rule}: a job of about {hours(longest[rule])} in {hours(60 * minutes)} of runtime"
            remedy = f"raise its runtime in {place.file}; a job that is stopped goes on at the next attempt"
            found.append(Check("note", text, remedy))
    if (limits := partitions()) is None:
        return [*found, Check("note", "partitions are not checked: no sinfo on this machine")]
    wanted: dict[str | None, list[str]] = {}
    last = place.attempts
    for rule in rules:
        wanted.setdefault(place.ask(rule).partition, []).append(rule)
    for name, users in wanted.items():
        if name is None:
            continue
        if name not in limits:
            remedy = f"set partition in {place.file} to one of: {', '.join(sorted(limits))}"
            found.append(Check("fault", f"there is no partition {name!r} ({', '.join(users)})", remedy))
            continue
        for rule in users:
            minutes, limit = place.minutes(rule), limits[name]
            if minutes is not None and limit is not None and minutes > limit:
                text = f"{rule} asks for {minutes:g} minutes, and partition {name} gives at most {limit:g}"
                remedy = f"lower its runtime in {place.file}, or name another partition"
                found.append(Check("fault", text, remedy))
            elif minutes is not None and limit is not None and place.minutes(rule, last) > limit:
                text = f"{rule}: attempt {last} asks for more than the {limit:g} minutes of partition {name}"
                found.append(Check("note", text, f"lower retries or the runtime in {place.file}"))
    return found or [Check("ok", f"partitions: {', '.join(sorted(filter(None, wanted)))}")]


def partitions() -> dict[str, float | None] | None:
    """Partition -> its time limit in minutes (None: unlimited), as ``sinfo`` says; None where it does not."""
    try:
        asked = cluster.call("sinfo", "--noheader", "--format=%R|%l")
    except GauntletError:
        return None
    if asked.returncode:
        return None
    lines = [line.split("|") for line in asked.stdout.split() if "|" in line]
    return {name: cluster.minutes(limit) for name, limit in lines}


def hours(seconds: float) -> str:
    """``35 s``, ``12 min``, ``3.4 h``, ``120 days``"""
    for unit, each, most in (("s", 1, 99.5), ("min", 60, 99.5), ("h", 3600, 72)):
        if seconds < each * most:
            return f"{seconds / each:.2g} {unit}"
    return f"{seconds / 86400:,.0f} days"


def datasets(cells: Iterable[Cell]) -> set[str]:
    """Those of the cells, and those whose images a thief has."""
    names = set()
    for cell in cells:
        names.add(cell.dataset)
        if natural := cell.identity["method"].get("natural"):
            names.add(natural)
    return names
