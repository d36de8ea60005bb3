"""Gather the tables of a study's jobs into one folder with a manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import (
    atomic,
    read_parquet,
    read_sealed,
    sha256_file,
    write_parquet,
    write_sealed,
)
from gauntlet.core.provenance import SIDECAR, read_sidecar, sidecar_path
from gauntlet.core.tables.every import COLUMNS
from gauntlet.report.derived import derive
from gauntlet.report.frames import whole
from gauntlet.report.measurements import MANIFEST
from gauntlet.report.study import DerivedEntry
from gauntlet.report.vocabulary import CELL

#: What the manifest keeps of a sidecar. The host and the command line stay behind.
KEPT = ("commit", "data_version", "device", "started", "seconds", "cost", "inputs")


def gather(
    cells: list[dict[str, Any]],
    out: str | Path,
    study: str,
    scale: str,
    missing: list[dict[str, Any]] = (),
    *,
    tables: Iterable[str],
    derived: Mapping[str, DerivedEntry] | None = None,
) -> Path:
    """Concatenate the tables of all cells into ``out``, with ``manifest.json``.

    Args:
        cells: one dict per cell and block of seeds: dataset, setting, architecture, method (the study's key),
            block (``"0-4"``), steps (step -> folder of its job), tables (table -> file), and ``needed``,
            name -> weights that its jobs read, of cells that are none of the study's (may be absent).
        out: folder to write; it appears whole, and replaces an earlier one.
        missing: cells without result: dataset, setting, architecture, method, block, log (path).
        tables: which tables to write; ``scores`` is among them.
        derived: the study's derived scores.

    Returns: ``out``. The tables are byte-deterministic; the manifest holds times and the commit.

    Raises:
        GauntletError: a table is absent, damaged, altered since its job wrote it, or lacks a column,
            two cells measured the same thing, or a derived score is not one.
    """
    out = Path(out)
    with atomic(out) as folder:
        folder.mkdir()
        frames = {name: _concatenate(name, cells) for name in tables}
        frames["scores"], metrics = derive(frames, derived or {})
        environments: list[dict] = []
        manifest = {
            "study": study,
            "scale": scale,
            "derived": metrics,
            "tables": write_tables(folder, frames),
            "cells": [_describe(cell, environments) for cell in sorted(cells, key=order)],
            "environments": environments,
            "missing": [
                {key: hole[key] for key in (*CELL, "block", "log") if key in hole}
                for hole in sorted(missing, key=order)
            ],
        }
        write_sealed(folder / MANIFEST, manifest)
    return out


def write_tables(folder: Path, frames: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Write gathered tables into ``folder``; returns their entries in the manifest."""
    entries = {}
    for name, frame in frames.items():
        path = folder / f"{name}.parquet"
        write_parquet(path, frame)
        entries[name] = {"sha256": sha256_file(path), "rows": len(frame)}
    return entries


def order(cell: dict[str, Any]) -> tuple[str, ...]:
    """By which cells are sorted."""
    return tuple(str(cell.get(key, "")) for key in (*CELL, "block"))


def _concatenate(name: str, cells: list[dict[str, Any]]):
    """One table of all cells, checked against the sidecars that its jobs wrote."""
    parts = []
    for cell in sorted(cells, key=order):
        if name not in cell["tables"]:  # scores of a family that measures none itself
            continue
        path = Path(cell["tables"][name])
        table = read_parquet(path)
        if read_sidecar(path)["sha256"] != sha256_file(path):
            raise GauntletError(
                "this file is not the one that its job wrote (its hash differs from the sidecar's)",
                file=path,
                remedy="delete its folder and run again",
            )
        if absent := [column for column in COLUMNS[name] if column not in table.columns]:
            raise GauntletError(
                f"the table lacks {', '.join(absent)}", file=path, remedy="delete its folder and run again"
            )
        parts.append(table.assign(**{key: cell[key] for key in CELL}))
    return whole(name, parts)


def _describe(cell: dict[str, Any], environments: list[dict]) -> dict[str, Any]:
    """A cell's entry in the manifest; equal environments are stored once and referred to by index."""
    entry = {key: cell[key] for key in (*CELL, "block")}
    for step, folder in cell["steps"].items():
        # All outputs of a job have the same sidecar, but for the name and hash of the payload.
        payload = next(path for path in cell["tables"].values() if Path(path).parent == Path(folder))
        sidecar = read_sidecar(payload)
        if (environment := sidecar.get("environment", {})) not in environments:
            environments.append(environment)
        entry[step] = {
            "folder": Path(folder).as_posix(),
            "environment": environments.index(environment),
            "outputs": _outputs(Path(folder)),
            **{key: sidecar[key] for key in KEPT if key in sidecar},
        }
        if attacks := _attacks(sidecar.get("config", {}).get("evaluate", {})):
            entry[step]["attacks"] = attacks
    needed = {name: Path(file) for name, file in cell.get("needed", {}).items()}
    if present := {name: file for name, file in needed.items() if sidecar_path(file).is_file()}:
        entry["needed"] = {name: _trained(file) for name, file in present.items()}
    return entry


def _outputs(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of all that a job wrote: its tables and, of a training, its weights."""
    sidecars = sorted(folder.glob(f"*{SIDECAR}"))
    return {path.name.removesuffix(SIDECAR): read_sealed(path)["sha256"] for path in sidecars}


def _trained(weights: Path) -> dict[str, Any]:
    """What the training of some weights took."""
    sidecar = read_sidecar(weights)
    kept = {key: sidecar[key] for key in ("commit", "device", "started", "seconds") if key in sidecar}
    return {"folder": weights.parent.as_posix(), **kept}


def _attacks(evaluate: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Attack -> its norm and restarts, where the settings of an evaluation say so; the scores have the rest.

    Attacks that are named alone have the headline's, which is L-inf; ``worst`` is the worst of that budget.
    """
    attacks, headline = evaluate.get("attacks", {}), {"norm": "linf", "restarts": evaluate.get("restarts")}
    if isinstance(attacks, list):
        attacks = dict.fromkeys(attacks, headline)
    known = {
        label: {"norm": entry["norm"], "restarts": entry.get("restarts") or headline["restarts"]}
        for label, entry in attacks.items()
        if "norm" in entry
    }
    return {**known, "worst": {"norm": "linf", "restarts": None}} if known else {}
