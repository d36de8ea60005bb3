"""An empty place to work in, and a loopback web server."""

import sys
from pathlib import Path

import pytest

import loopback
from gauntlet.core import transfer

sys.path.insert(0, str(Path(__file__).parent))  # for published_states.py


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory, empty; no settings of the user, no downloads of torch."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name in ("GAUNTLET_DATA", "GAUNTLET_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfer, "POLICY", loopback.QUICK)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return work


@pytest.fixture
def web():
    """(base address, path -> body, list of requested paths)."""
    with loopback.running() as server:
        yield server.base, server.content, server.requests
