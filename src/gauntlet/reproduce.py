"""The whole pipeline in one call: Snakemake, and an end that a person can act on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gauntlet.core.files import read_json
from gauntlet.plan import Plan, load_plan

#: Lines of a failed job's log that are shown.
TAIL = 12


def run(config: Path, study: str | None, cores: int) -> int:
    """Run everything; returns the exit status (see ``gauntlet reproduce --help``)."""
    plan = load_plan(config)  # a configuration error ends here, before anything runs
    command = ["snakemake", "--configfile", str(config), "--cores", str(cores)]
    overrides = [f"study={study}"] if study else []
    status = _snakemake(command, overrides)
    if status == 130:  # interrupted: the user wants no second run
        return status
    failed = _failed(plan, study)
    if status and failed:
        print(f"\n{len(failed)} cells failed; drawing what is there.", flush=True)
        _snakemake(command, [*overrides, "holes=True"])
    _verdicts()
    for row in failed:
        _explain(row, command, overrides)
    if status and not failed:
        print("\nThe pipeline did not complete; the log above names the failed step. Run it again to go on.")
    return 1 if status else 0


def _snakemake(command: list[str], overrides: list[str]) -> int:
    arguments = [*command, *(["--config", *overrides] if overrides else [])]
    print(f"$ {' '.join(arguments)}", flush=True)
    # Ours is the environment whose snakemake runs, and its jobs' commands, activated or not.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    process = subprocess.Popen([sys.executable, "-m", *arguments], env={**os.environ, "PATH": path})
    interrupted = False
    while True:
        try:
            status = process.wait()
            break
        except KeyboardInterrupt:  # Snakemake got it too: let it stop its jobs and release its lock
            interrupted = True
    if interrupted:
        return 130
    return status if status >= 0 else 128 - status


def _failed(plan: Plan, study: str | None) -> list[dict]:
    wanted = [study] if study else list(plan.studies)
    rows = [row for name in wanted for row in plan.studies[name].present()[1]]
    return list({_target(row): row for row in rows}.values())


def _target(row: dict) -> str:
    """The file whose making makes the whole cell: a table of its last step."""
    return list(row["tables"].values())[-1]


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


def _explain(row: dict, command: list[str], overrides: list[str]) -> None:
    log = Path(row["log"])
    where = "/".join(filter(None, (row["dataset"], row["setting"], row["architecture"])))
    print(f"\nFAILED {where} {row['method']} seeds {row['block']}: {log}")
    if log.is_file():
        for line in log.read_text(errors="replace").splitlines()[-TAIL:]:
            print(f"  | {line}")
    suffix = f" --config {' '.join(overrides)}" if overrides else ""
    print(f"  rerun: {' '.join(command)} {_target(row)}{suffix}")
