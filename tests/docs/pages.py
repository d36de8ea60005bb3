"""Do what a page of docs/ says, to the letter.

A fenced block is followed when its info string says how:

    ```python file=src/gauntlet/defenses/embeddings/toy.py      the whole content of this file
    ```yaml file=config/studies/eat.yaml append      lines for the end of this file
    ```bash run                                      commands, in the root of the repository

All other blocks are for reading only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\S+)[ ]+([^\n`]+)\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    """One block: ``path`` is None for commands."""

    path: str | None
    text: str
    append: bool = False


def steps(page: str | Path) -> list[Step]:
    """All blocks of a page that are to be followed, in order."""
    found = []
    for _, info, text in FENCE.findall((ROOT / page).read_text(encoding="utf-8")):
        words = info.split()
        files = [word.removeprefix("file=") for word in words if word.startswith("file=")]
        if files:
            found.append(Step(files[0], text, "append" in words))
        elif "run" in words:
            found.append(Step(None, text))
    return found


def blocks(page: str | Path) -> list[tuple[str, str]]:
    """(path, text) of every block that is a file or the end of one, in order."""
    return [(step.path, step.text) for step in steps(page) if step.path]


def copy(into: Path, *more: str) -> Path:
    """A fresh copy of the package in ``into``/src, and of ``more`` files or folders of the checkout."""
    for name in ("src", *more):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, into / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, into / name)
    return into


def follow(page: str | Path, root: Path) -> list[str]:
    """Write the page's files into the copy ``root`` and run its commands there, in the page's order.

    Returns:
        What each block of commands printed (standard output and error together).
    """
    outputs = []
    for step in steps(page):
        if step.path is None:
            outputs.append(run(step.text, root))
            continue
        target = root / step.path
        assert target.exists() == step.append, (
            f"{step.path} {'is missing' if step.append else 'exists already'}"
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        before = target.read_text(encoding="utf-8") if step.append else ""
        target.write_text(before + step.text, encoding="utf-8")
    return outputs


def run(commands: str, root: Path) -> str:
    """Run shell commands in ``root``, with its own package in place of the installed one."""
    tools = root / ".tools"
    tools.mkdir(exist_ok=True)
    gauntlet = tools / "gauntlet"
    gauntlet.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gauntlet.cli "$@"\n')
    gauntlet.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(root / "src"),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}"
    return done.stdout
