import os
import signal
import subprocess
import sys

import pytest
import torch

from gauntlet.core.resume import Resume


def test_state_comes_back_only_to_its_own_run(tmp_path, capsys):
    path = tmp_path / "run.state"
    with Resume(path, {"lr": 1}) as resume:
        assert resume.load() is None
        resume.save({"step": 3, "weights": {"w": torch.arange(3.0)}})
    state = Resume(path, {"lr": 1}).load()
    assert state["step"] == 3
    assert state["weights"]["w"].tolist() == [0, 1, 2]
    assert Resume(path, {"lr": 2}).load() is None
    assert "another configuration" in capsys.readouterr().err


def test_a_damaged_state_is_refused(tmp_path, capsys):
    path = tmp_path / "run.state"
    Resume(path, 0).save({"step": 1})
    path.write_bytes(path.read_bytes()[:-40])
    assert Resume(path, 0).load() is None
    assert "damaged" in capsys.readouterr().err


def test_a_state_with_code_in_it_is_refused(tmp_path, capsys):
    class Payload:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "executed"),))

    path = tmp_path / "run.state"
    torch.save({"identity": "x", "state": Payload()}, path)
    assert Resume(path, 0).load() is None
    assert not (tmp_path / "executed").exists()


LOOP = """
import sys, time
from gauntlet.core.resume import Resume
with Resume(sys.argv[1], "loop", every=3600) as resume:
    state = resume.load()
    for step in range(state["step"] if state else 0, 10**9):
        print(step, flush=True)
        time.sleep(0.01)
        resume.checkpoint(lambda: {"step": step + 1})
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_saves_and_ends_the_loop(tmp_path, number):
    path = tmp_path / "run.state"
    run = subprocess.Popen([sys.executable, "-c", LOOP, str(path)], stdout=subprocess.PIPE, text=True)
    while run.stdout.readline().strip() != "3":
        pass
    run.send_signal(number)
    steps = ["3", *run.stdout.read().split()]
    assert run.wait(timeout=60) == 128 + number
    assert Resume(path, "loop").load()["step"] == int(steps[-1]) + 1


def test_no_path_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Resume(None, 0) as resume:
        resume.save({"step": 1})
        assert resume.load() is None
        resume.clear()
    assert os.listdir(tmp_path) == []
