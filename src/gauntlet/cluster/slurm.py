"""Slurm's own commands, and its words when it refuses."""

from __future__ import annotations

import re
import subprocess

from gauntlet.core.errors import GauntletError


def call(*command: str, seconds: float | None = 60) -> subprocess.CompletedProcess:
    """Run a command of Slurm's; its exit status is for the caller to judge.

    Raises:
        GauntletError: it is not installed, or does not answer within ``seconds``.
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except FileNotFoundError:
        raise GauntletError(
            f"no Slurm on this machine: {command[0]} is not on PATH",
            remedy="log in to the cluster's submit host, load its Slurm module, or leave out --profile slurm",
        ) from None
    except subprocess.TimeoutExpired:
        raise GauntletError(
            f"Slurm does not answer: {' '.join(command[:3])} took more than {seconds:.0f} s",
            remedy="ask `scontrol ping`; start again when the controller is up",
        ) from None


def sentence(error: str) -> str:
    """What Slurm complains of, without the names of its programs."""
    lines = [line.rpartition("error: ")[2].strip() for line in error.splitlines() if line.strip()]
    return lines[-1].removeprefix("allocation failure: ") if lines else "no reason given"


def minutes(limit: str) -> float | None:
    """Minutes of Slurm's ``days-hours:minutes:seconds``, whose first parts may be absent."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit)
    if not match:
        return None  # infinite, or not set
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 1440 * days + 60 * hours + minutes + seconds / 60
