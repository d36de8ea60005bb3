"""The whole pipeline in one call: Snakemake, a view of it, and an end that a person can act on."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from rich.console import Console

from gauntlet.core.config import load_yaml
from gauntlet.core.files import read_json
from gauntlet.plan import make_plan
from gauntlet.status import run as runs
from gauntlet.status.summary import Summary
from gauntlet.status.view import explain, headline
from gauntlet.status.watch import Observer, until

#: What Snakemake says; the view has what matters of it.
LOG = Path("logs/snakemake.log")
#: Lines of it that are shown where no step's log tells what went wrong.
TAIL = 30


def run(config: Path, study: str | None, cores: int) -> int:
    """Run everything; returns the exit status (see ``gauntlet reproduce --help``)."""
    # A configuration error ends here, before anything runs.
    plan = make_plan(load_yaml(config) | ({"study": study} if study else {}), file=config)
    overrides = [f"study={study}"] if study else []
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    rerun = partial(runs.rerun, config=config, cores=cores, overrides=overrides)
    observer = Observer(plan, rerun, slots=cores, since=time.time())
    status, summary = _snakemake(observer, runs.command(config, cores), overrides)
    if status == 130:  # interrupted: the user wants no second run
        print(f"\nInterrupted. {headline(summary)}. Run it again to go on.")
        return status
    if status and summary.failures:
        count = len(summary.failures)
        print(f"\n{count} step{'s' if count > 1 else ''} failed; drawing what is there.", flush=True)
        _snakemake(observer, runs.command(config, cores), [*overrides, "holes=True"])
    _verdicts()
    for failure in summary.failures:
        print("", *explain(failure), sep="\n")
    if status and summary.held:
        print(f"\n{summary.held} steps wait for these.")
    if status and not summary.failures:
        lines = LOG.read_text(errors="replace").splitlines()[-TAIL:]
        print("\nThe pipeline did not complete. Run it again to go on. Snakemake said last:")
        print(*(f"  | {line}" for line in lines), sep="\n")
    print(f"All that Snakemake said: {LOG}")
    return 1 if status else 0


def _snakemake(observer: Observer, command: list[str], overrides: list[str]) -> tuple[int, Summary]:
    """Run it while the observer looks; the exit status, and what was seen last."""
    arguments = [*command, *(["--config", *overrides] if overrides else [])]
    print(f"$ {shlex.join(arguments)}", flush=True)
    # Ours is the environment whose snakemake runs, and its jobs' commands, activated or not.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with LOG.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        summary = until(observer, Console(), lambda _, seconds: _ended(process, seconds))
    except KeyboardInterrupt:  # Snakemake got it too: let it stop its jobs and release its lock
        while not _ended(process, None):
            pass
        return 130, observer()
    status = process.returncode
    return (status if status >= 0 else 128 - status), summary


def _ended(process: subprocess.Popen, seconds: float | None) -> bool:
    """Whether the process ends within so many seconds."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    except KeyboardInterrupt:
        if seconds is not None:
            raise
        return False
    return True


def _verdicts() -> None:
    from gauntlet.report.claims.board import summary

    report = Path("paper_figures/index.html")
    if not Path("paper_figures/claims.json").is_file():
        return
    print("\nClaims, judged at this scale (not the paper's numbers):")
    for line in summary(read_json("paper_figures/claims.json")):
        print(f"  {line}")
    if report.is_file():
        print(f"\nReport: {report.resolve()}")
