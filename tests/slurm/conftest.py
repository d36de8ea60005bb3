"""A real Slurm for the tests of this folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from projects import Project, checkout

sys.path.insert(0, str(Path(__file__).parent))

import cluster as real_cluster


def command(what: str) -> str:
    """What a person would type."""
    done = subprocess.run(
        [sys.executable, real_cluster.__file__, what], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def cluster():
    """The running cluster (the module ``cluster.py``)."""
    command("start")
    assert command("status").count(": idle") == 3
    yield real_cluster
    assert command("stop") == "no cluster of ours on this machine\n"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, cluster) -> Project:
    """The checkout with the digits that every test here trains on. Tests copy it."""
    project = checkout(tmp_path_factory.mktemp("slurm") / "prepared")
    project.run("gauntlet", "data", "fetch", "digits")
    return project
