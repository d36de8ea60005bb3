"""Publish a study's gathered measurements: copies for git, from which figures can be redrawn."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gauntlet.core.blocks import seeds_of
from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.core.files import atomic, write_sealed
from gauntlet.report.derived import derive
from gauntlet.report.frames import types, whole
from gauntlet.report.gather import order, write_tables
from gauntlet.report.measurements import MANIFEST, Measurements, read
from gauntlet.report.study import DerivedEntry
from gauntlet.report.vocabulary import CELL

#: Largest size of one study's published measurements, all scales together, in bytes.
LIMIT = 5_000_000


def publish(
    source: str | Path,
    target: str | Path,
    *,
    add: bool = False,
    without: Collection[str] = (),
    derived: Mapping[str, DerivedEntry] | None = None,
) -> list[Path]:
    """Copy gathered measurements to ``published/<study>/<scale>`` after checking them; returns the files.

    Args:
        add: keep the published cells that ``source`` has not measured, and replace the others.
        without: tables to leave out, such as outcomes per example that nothing drawn needs.
        derived: the study's derived scores, which ``add`` computes anew from the tables of all cells.

    Raises:
        GauntletError: a table was altered, the study would hold more than 5 MB (all scales), or ``add``
            would mix trials that cannot be told apart, or that were trained with different settings.
    """
    source, target = Path(source), Path(target)
    measurements = read(source)
    if unknown := sorted(set(without) - set(measurements.manifest["tables"])):
        raise GauntletError(
            f"there is no table {unknown[0]!r}",
            file=source,
            remedy=did_you_mean(unknown[0], measurements.manifest["tables"]),
        )
    for name in without:
        del measurements.manifest["tables"][name]
    with atomic(target) as folder:
        folder.mkdir()
        if add and (target / MANIFEST).is_file():
            _write_both(folder, read(target), measurements, without, derived or {})
        else:
            for name in measurements.manifest["tables"]:
                shutil.copyfile(source / f"{name}.parquet", folder / f"{name}.parquet")
            write_sealed(folder / MANIFEST, measurements.manifest)
        _check_size(folder, target)
    return sorted(target.iterdir())


def _check_size(folder: Path, target: Path) -> None:
    """The new files and the study's other scales stay within the limit."""
    others = [path for path in target.parent.rglob("*") if path.is_file()]
    others = [path for path in others if not path.is_relative_to(target) and not path.is_relative_to(folder)]
    size = sum(path.stat().st_size for path in [*folder.iterdir(), *others])
    if size > LIMIT:
        raise GauntletError(
            f"{size / 1e6:.1f} MB of published measurements; at most {LIMIT / 1e6:.0f} MB a study",
            file=target,
            remedy="leave out a table (--without), or evaluate fewer test images or sweeps at this scale",
        )


def _write_both(
    folder: Path,
    old: Measurements,
    new: Measurements,
    without: Collection[str],
    derived: Mapping[str, DerivedEntry],
) -> None:
    """The measurements of ``new``, and those of ``old`` whose cells it lacks."""
    replaced = {_key(cell) for cell in new.manifest["cells"]}
    kept = [cell for cell in old.manifest["cells"] if _key(cell) not in replaced]
    _check_mixture(kept, new.manifest["cells"], old.folder)
    frames = {}
    for name in dict.fromkeys([*new.manifest["tables"], *old.manifest["tables"]]):
        if name in without:
            continue
        table = getattr(old, name)
        if absent := [column for column in types(name) if column not in table]:
            raise GauntletError(
                f"the published table lacks {', '.join(absent)}",
                file=old.folder / f"{name}.parquet",
                remedy="publish without --add",
            )
        frames[name] = whole(name, [_rows(table, kept), getattr(new, name)])
    # Derived scores may depend on all cells of a study: those that a part of them gave are made anew.
    stale = {*old.manifest.get("derived", []), *new.manifest.get("derived", [])}
    frames["scores"] = frames["scores"][~frames["scores"]["metric"].isin(stale)]
    frames["scores"], metrics = derive(frames, derived)
    environments = list(new.manifest["environments"])
    cells = [
        *new.manifest["cells"],
        *(_moved(cell, old.manifest["environments"], environments) for cell in kept),
    ]
    manifest = {
        **new.manifest,
        "cells": sorted(cells, key=order),
        "derived": metrics,
        "environments": environments,
        "missing": _holes([*new.missing, *old.missing], cells),
        "tables": write_tables(folder, frames),
    }
    write_sealed(folder / MANIFEST, manifest)


def _key(cell: dict[str, Any]) -> tuple[str, ...]:
    return tuple(cell[key] for key in (*CELL, "block"))


def _trials(cell: dict[str, Any]) -> set[tuple]:
    return {(*(cell[key] for key in CELL), seed) for seed in seeds_of(cell["block"])}


def _check_mixture(kept: list[dict[str, Any]], new: list[dict[str, Any]], file: Path) -> None:
    """No trial twice, and all seeds of a method trained and attacked with the same settings."""
    for cell in new:
        for other in kept:
            if any(cell[key] != other[key] for key in CELL):
                continue
            what = ", ".join(cell[key] for key in CELL if cell[key])
            if double := sorted(seed for *_, seed in _trials(cell) & _trials(other)):
                raise GauntletError(
                    f"seeds {', '.join(map(str, double))} of {what} are published in block {other['block']}"
                    f" and measured in block {cell['block']}",
                    file=file,
                    remedy="run the seeds in the published blocks, or publish without --add",
                )
            if _settings(cell) != _settings(other):
                raise GauntletError(
                    f"the published seeds {other['block']} of {what} were made with other settings than"
                    f" seeds {cell['block']}: {_settings(other)}, {_settings(cell)}",
                    file=file,
                    remedy="run all seeds with one setting, or publish without --add",
                )


def _settings(cell: dict[str, Any]) -> str:
    """The hashed names of the model and of the attacks, from the folders of the cell's jobs."""
    model = Path(cell["train"]["folder"]).parent.name
    return "/".join([model, *(Path(cell[step]["folder"]).name for step in ("attack",) if step in cell)])


def _rows(table, cells: list[dict[str, Any]]):
    """The rows of these cells."""
    trials = set().union(*map(_trials, cells))
    keys = zip(*(table[column] for column in (*CELL, "seed")), strict=True)
    return table[[key in trials for key in keys]]


def _moved(cell: dict[str, Any], theirs: list[dict], ours: list[dict]) -> dict[str, Any]:
    """The cell's entry with its environments among ``ours``, which gets those that it lacks."""
    moved = dict(cell)
    for step, entry in cell.items():
        if isinstance(entry, dict) and "environment" in entry:
            environment = theirs[entry["environment"]]
            if environment not in ours:
                ours.append(environment)
            moved[step] = {**entry, "environment": ours.index(environment)}
    return moved


def _holes(missing: list[dict[str, Any]], cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is still missing, each once: a seed of it was measured by no cell."""
    measured = set().union(*map(_trials, cells))
    holes = {_key({"block": "", **hole}): hole for hole in reversed(missing)}
    return sorted(
        (hole for hole in holes.values() if not hole.get("block") or _trials(hole) - measured), key=order
    )
