"""Two processes that share a training end where one ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import toy

from gauntlet import data
from gauntlet.core import processes
from gauntlet.families import weights
from gauntlet.families.dml import train

pytestmark = pytest.mark.slow


def start(*arguments):
    """The script ``toy.py`` in two processes; what they print comes as lines."""
    bin = Path(sys.executable).parent
    return subprocess.Popen(
        [bin / "torchrun", "--standalone", "--nproc-per-node=2", toy.__file__, *map(str, arguments)],
        env={**os.environ, processes.STARTED: "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


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


def test_they_end_where_one_ends(alone, tmp_path):
    first, last = alone
    run = start(tmp_path / "out", tmp_path / "state", "eat", 2, 0)
    said, _ = run.communicate(timeout=300)
    assert run.returncode == 0, said
    found = weights.read(tmp_path / "out/model.safetensors", 0)
    assert distance(found, last) < 0.01 * distance(first, last)


def test_a_signal_to_all_saves_once_and_one_process_goes_on(alone, tmp_path, monkeypatch):
    first, last = alone
    run = start(tmp_path / "out", tmp_path / "state", "eat", 2, 0)
    for line in run.stdout:
        if line.strip() == "step 0 5":
            run.send_signal(signal.SIGTERM)  # torchrun hands it on
            break
    said, _ = run.communicate(timeout=300)
    assert run.returncode != 0, said
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(data, "load", lambda name, folder=None: toy.dataset())
    train.run(toy.identity("eat", 2, epochs=6), [0], tmp_path / "out", tmp_path / "state", "cpu")
    found = weights.read(tmp_path / "out/model.safetensors", 0)
    assert distance(found, last) < 0.01 * distance(first, last)
