"""Repositories with this one's DVC settings, and clones of them; commands run there as typed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "datasets/.gitignore")


def run(*command: str, cwd: Path, **environment: str) -> str:
    """Standard output of a command that must end well."""
    everything = {**os.environ, **environment}
    done = subprocess.run(command, cwd=cwd, env=everything, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def dvc(*arguments: str, cwd: Path, **environment: str) -> str:
    return run(sys.executable, "-m", "dvc", *arguments, cwd=cwd, **environment)


def git(*arguments: str, cwd: Path) -> str:
    return run("git", "-c", "user.name=Test", "-c", "user.email=test@example.org", *arguments, cwd=cwd)


def repository(folder: Path) -> Path:
    """A new repository with the settings."""
    for file in SETTINGS:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    git("init", "-q", cwd=folder)
    return folder


def commit(folder: Path) -> None:
    git("add", "-A", cwd=folder)
    git("commit", "-q", "-m", "data", cwd=folder)


def connect(folder: Path, url: str | Path, **settings: str) -> None:
    """Make ``url`` the remote of this clone, in its own configuration."""
    dvc("remote", "add", "-q", "--default", "--local", "store", str(url), cwd=folder)
    for key, value in settings.items():
        dvc("remote", "modify", "-q", "--local", "store", key, value, cwd=folder)


def clone(upstream: Path, folder: Path, remote: str | Path | None = None) -> Path:
    git("clone", "-q", str(upstream), str(folder), cwd=folder.parent)
    if remote:
        connect(folder, remote)
    return folder
