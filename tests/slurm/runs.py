"""``snakemake --profile slurm`` as a process that goes on beside the test."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from projects import Project

#: Snakemake asks after its jobs every few seconds here; on a shared cluster that would be rude.
QUICK = ("--slurm-init-seconds-before-status-checks", "4", "--seconds-between-status-checks", "4")
QUICK += ("--latency-wait", "10")


class Run:
    """A run in a project of its own.

    Args:
        targets: what Snakemake is to make, and more of its arguments.
        site: the content of the site file.
    """

    def __init__(self, project: Project, *targets: str, site: dict):
        self.project, self.folder = project, project.folder
        (self.folder / "profiles/slurm/site.yaml").write_text(yaml.safe_dump(site))
        options = ("--profile", "slurm", *QUICK, "--configfile", "config/smoke.yaml")
        self.command = ["snakemake", *targets, *options]
        self.process: subprocess.Popen | None = None

    def start(self) -> Run:
        with open(self.folder / "snakemake.log", "a") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.project.environment(GAUNTLET_STATE_SECONDS="0.5"),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    @property
    def log(self) -> str:
        """What Snakemake said so far, in all its starts."""
        return (self.folder / "snakemake.log").read_text()

    def finish(self, seconds: float = 600) -> str:
        """Wait for a good end; returns what Snakemake said."""
        try:
            status = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            status = f"no end after {seconds} s"
        assert status == 0, f"{status}:\n{self.log[-6000:]}"
        return self.log

    def end(self) -> None:
        """Leave no process of this run behind, however the test went."""
        self.process.kill()
        self.process.wait()
        for process in self.training():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def wait(self, what: Callable[[], Any], seconds: float = 400) -> Any:
        """Wait until ``what()`` is true, while Snakemake runs; returns it."""
        end = time.monotonic() + seconds
        while not (found := what()):
            assert self.process.poll() is None, f"Snakemake ended early:\n{self.log[-6000:]}"
            assert time.monotonic() < end, f"waited in vain:\n{self.log[-6000:]}"
            time.sleep(0.1)
        return found

    def jobs(self, states: str = "running", form: str = "%A") -> list[str]:
        """This project's Slurm jobs in some states (``all`` for every one), in a format of squeue's."""
        command = ["squeue", "--noheader", f"--states={states}", f"--format={form}|%Z"]
        lines = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.splitlines()
        rows = [line.rpartition("|") for line in lines]
        return [what for what, _, where in rows if where == str(self.folder)]

    def training(self) -> list[int]:
        """The processes that train in this project."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                here = os.readlink(process / "cwd") == str(self.folder)
            except OSError:
                continue
            if here and len(words) > 3 and words[1].endswith(b"/gauntlet") and words[3] == b"train":
                found.append(int(process.name))
        return found

    def payloads(self) -> dict[str, bytes]:
        """Weights and measurements: path -> bytes."""
        paths = [
            path
            for kind in ("safetensors", "parquet")
            for path in self.folder.glob(f"results/dml/**/*.{kind}")
        ]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}

    def find(self, pattern: str) -> Path | None:
        """The first file of this pattern, if there is one."""
        return next(iter(sorted(self.folder.glob(pattern))), None)
