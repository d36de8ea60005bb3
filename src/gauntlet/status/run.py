"""The run that was started last in this folder: written by the workflow, read by `gauntlet status`."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gauntlet.core.files import read_json, write_json

if TYPE_CHECKING:
    from gauntlet.status.steps import Step

FILE = Path(".gauntlet/run.json")


def write(config: Path, cores: int | None, profile: str | None) -> None:
    """Say what begins now: its resolved configuration, and cores here or the profile of a cluster."""
    begun = {"config": str(config), "cores": cores, "profile": profile, "started": round(time.time(), 3)}
    write_json(FILE, begun)


def last() -> dict[str, Any] | None:
    """What ``write`` wrote last; None before the first run."""
    return read_json(FILE) if FILE.is_file() else None


def command(config: Path | str, cores: int | None = None, profile: str | None = None) -> list[str]:
    """The words that start Snakemake, here or by a profile."""
    where = ["--profile", profile] if profile else ["--cores", str(cores or 1)]
    return [
        "snakemake",
        "--configfile",
        str(config),
        *where,
    ]  # it would take what follows a file for a second


def rerun(
    step: Step,
    config: Path | str,
    cores: int | None = None,
    profile: str | None = None,
    overrides: Sequence[str] = (),
) -> str:
    """The command that runs one step again, and what it still needs."""
    changed = ["--config", *overrides] if overrides else []
    return shlex.join([*command(config, cores, profile), step.outputs[0].as_posix(), *changed])
