"""Jobs of a run whose Snakemake was killed: they go on, and the next run would submit them once more."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

from gauntlet.cluster.slurm import call, sentence
from gauntlet.core.errors import GauntletError

#: What the Slurm plugin calls its jobs: the id of its run, after a prefix of the user's.
RUN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def find(folder: str | Path = ".") -> list[str]:
    """The ids of this user's unfinished jobs that a Snakemake in ``folder`` submitted.

    Raises:
        GauntletError: Slurm does not answer.
    """
    done = call("squeue", "--me", "--noheader", "--format=%A|%j|%k|%Z")
    if done.returncode:
        raise GauntletError(
            f"Slurm does not answer: {sentence(done.stderr)}",
            remedy="ask `scontrol ping`; start again when the controller is up",
        )
    rows = [line.split("|", 3) for line in done.stdout.splitlines()]
    here = os.path.realpath(folder)
    return [
        job
        for job, name, comment, where in rows
        if RUN.search(name) and comment.startswith("rule_") and os.path.realpath(where) == here
    ]


def cancel(folder: str | Path = ".", seconds: float = 300) -> list[str]:
    """End the jobs that a killed run in ``folder`` left, and wait until they are gone. Resume states stay.

    Call it while no other run is at work in the folder (Snakemake's lock sees to that), or its jobs end too.

    Returns:
        The ids of the jobs.

    Raises:
        GauntletError: Slurm does not answer, or some job does not end within ``seconds``.
    """
    left = found = find(folder)
    if not left:
        return []
    print(f"ending {len(left)} jobs that an earlier run left: {' '.join(left)}", file=sys.stderr)
    call("scancel", *left)
    end = time.monotonic() + seconds
    while left := find(folder):
        if time.monotonic() > end:
            raise GauntletError(
                f"jobs of an earlier run do not end: {' '.join(left)}",
                remedy="start again when they have left `squeue --me`: two jobs would write the same files",
            )
        time.sleep(1)
    return found
