"""`dvc pull` from a remote that is a folder, against a plain copy of the same files on the same disk.

A set as this project prepares them, five files, and the same bytes as a thousand.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import timing

#: what -> (files, bytes of each)
SETS = {"5 files of 40 MB": (5, 40_000_000), "1,000 files of 200 kB": (1000, 200_000)}
SMALL = {"5 files of 400 kB": (5, 400_000), "100 files of 20 kB": (100, 20_000)}


def dvc(*arguments: str, cwd: Path) -> None:
    command = [sys.executable, "-m", "dvc", *arguments]
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def author(folder: Path, files: int, size: int) -> None:
    """A repository without git, whose ``set`` is in the remote ``store``."""
    (folder / "set").mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(files):
        (folder / "set" / f"{number}.bin").write_bytes(random.bytes(size))
    dvc("init", "--no-scm", cwd=folder)
    dvc("config", "core.analytics", "false", cwd=folder)
    dvc("remote", "add", "--default", "store", str(folder / "store"), cwd=folder)
    dvc("add", "set", cwd=folder)
    dvc("push", cwd=folder)


def seconds_of(program: Callable[[], object]) -> float:
    started = time.perf_counter()
    program()
    return time.perf_counter() - started


def pull(folder: Path, verify: bool) -> Callable[[], float]:
    """Pull as in a fresh clone."""

    def run() -> float:
        shutil.rmtree(folder / "set", ignore_errors=True)
        shutil.rmtree(folder / ".dvc" / "cache", ignore_errors=True)
        dvc("remote", "modify", "store", "verify", str(verify).lower(), cwd=folder)
        return seconds_of(lambda: dvc("pull", cwd=folder))

    return run


def copy(folder: Path) -> Callable[[], float]:
    def run() -> float:
        shutil.rmtree(folder / "copy", ignore_errors=True)
        return seconds_of(lambda: shutil.copytree(folder / "kept", folder / "copy"))

    return run


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that it works")
    options = parser.parse_args()
    rows = []
    for what, (files, size) in (SMALL if options.small else SETS).items():
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "repository"
            author(folder, files, size)
            shutil.copytree(folder / "set", folder / "kept")
            programs = {
                "dvc pull": pull(folder, False),
                "dvc pull, verified": pull(folder, True),
                "copy": copy(folder),
            }
            seconds = timing.interleave(programs, options.rounds or 3)
        copied = seconds.pop("copy")
        note = "DVC copies twice, into its cache and from there"
        rows += [
            timing.Comparison(what, ours, "copy", times, copied, note) for ours, times in seconds.items()
        ]
    timing.report("dvc_pull", rows, options)


if __name__ == "__main__":
    main()
