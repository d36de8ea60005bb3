"""Copies of this checkout that have their own package, results and metadata, for real Snakemake runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    *("Snakefile", "config", "envs", "workflow", "profiles", "slurm"),
    *("src", "data.dvc", "published", "docs"),
)


class Project:
    """A copy of the checkout in which commands run as a user would type them."""

    def __init__(self, folder: Path):
        self.folder = folder

    def run(self, *command: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess:
        """Run a command of the environment; stdout and stderr come back together."""
        done = subprocess.run(
            [*command],
            cwd=self.folder,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=800,
        )
        if check:
            assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout[-6000:]}"
        return done

    def environment(self, **extra: str) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder / "src"),
            "GAUNTLET_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            **extra,
        }

    def snakemake(
        self, *arguments: str, config: str = "config/smoke.yaml", **options
    ) -> subprocess.CompletedProcess:
        return self.run("snakemake", "--configfile", config, "--cores", "2", *arguments, **options)

    def planned(self, *arguments: str, config: str = "config/smoke.yaml") -> dict[str, int]:
        """Rule -> number of jobs that a dry run announces; empty when there is nothing to be done."""
        out = self.snakemake("-n", *arguments, config=config).stdout
        if "Nothing to be done" in out:
            return {}
        table = out.rsplit("Job stats:", 1)[1].strip().splitlines()[2:]
        jobs = {}
        for line in table:
            parts = line.split()
            if len(parts) != 2 or parts[0] == "total":
                break
            jobs[parts[0]] = int(parts[1])
        return jobs

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text()
        assert old in text, f"{old!r} is not in {path}"
        (self.folder / path).write_text(text.replace(old, new, 1))

    def copy(self, folder: Path) -> Project:
        """A second project in the same state: same results, same metadata, same times."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)


def checkout(folder: Path) -> Project:
    """A copy of the checkout without results, in a new ``folder``."""
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_symlink():
            (folder / name).symlink_to(os.readlink(source))
        elif source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, folder / name)
    return Project(folder)
