"""Two processes that share a training end where one ends."""

import signal
import sys
from pathlib import Path

import pytest
import toy

import moments
from gauntlet import data
from gauntlet.core import processes
from gauntlet.families import weights
from gauntlet.families.dml import train

pytestmark = pytest.mark.slow


def command(out, state):
    """Train by the script ``toy.py`` in two processes."""
    torchrun = Path(sys.executable).parent / "torchrun"
    words = ("--standalone", "--nproc-per-node=2", toy.__file__, out, state, "eat", 2, 0)
    return [str(torchrun), *map(str, words)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Weights of one process after no epoch's worth of updates, and at the end."""
    out = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda name, folder=None: toy.dataset())
        for name, rate in (("first", 1e-12), ("last", 1e-3)):
            what = toy.identity("eat", 2, epochs=6, lr=rate, proxy_lr=10 * rate)
            train.run(what, [0], out / name, None, "cpu")
    return [weights.read(out / name / "model.safetensors", 0) for name in ("first", "last")]


def distance(one, other):
    return sum(float((one[name] - other[name]).square().sum()) for name in one) ** 0.5


def test_they_end_where_one_ends(alone, tmp_path, monkeypatch):
    first, last = alone
    monkeypatch.setenv(processes.STARTED, "1")
    moments.finish(command(tmp_path / "out", tmp_path / "state"))
    found = weights.read(tmp_path / "out/model.safetensors", 0)
    assert distance(found, last) < 0.01 * distance(first, last)


def test_a_signal_to_all_saves_once_and_one_process_goes_on(alone, tmp_path, monkeypatch):
    first, last = alone
    with monkeypatch.context() as patch:
        patch.setenv(processes.STARTED, "1")
        run = moments.until("step 0 5", command(tmp_path / "out", tmp_path / "state"))
    run.send_signal(signal.SIGTERM)  # torchrun hands it on
    said, _ = run.communicate(timeout=300)
    assert run.returncode != 0, said
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(data, "load", lambda name, folder=None: toy.dataset())
    train.run(toy.identity("eat", 2, epochs=6), [0], tmp_path / "out", tmp_path / "state", "cpu")
    found = weights.read(tmp_path / "out/model.safetensors", 0)
    assert distance(found, last) < 0.01 * distance(first, last)
