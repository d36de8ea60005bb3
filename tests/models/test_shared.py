import os
import subprocess
import sys
from pathlib import Path

import pytest

from gauntlet.core import processes


def torchrun(*command):
    return subprocess.run(
        ["torchrun", "--standalone", "--nproc-per-node=2", *map(str, command)],
        env={
            **os.environ,
            processes.STARTED: "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_two_processes_pass_a_batch_as_one_does():
    done = torchrun(Path(__file__).with_name("together.py"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("1 images for 2 processes") == 2


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("total", [0, 1, 5, 6, 7, 120])
def test_shares_are_in_order_and_alike(monkeypatch, count, total):
    monkeypatch.setenv(processes.STARTED, "1")
    monkeypatch.setenv("WORLD_SIZE", str(count))
    rows, sizes = [], []
    for rank in range(count):
        monkeypatch.setenv("RANK", str(rank))
        own = list(range(total))[processes.share(total)]
        rows += own
        sizes.append(len(own))
    assert rows == list(range(total))
    assert max(sizes) - min(sizes) <= 1


def test_a_process_of_its_own_is_the_leader(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")  # of somebody else's torchrun
    monkeypatch.setenv("RANK", "3")
    monkeypatch.delenv(processes.STARTED, raising=False)
    assert (processes.count(), processes.rank(), processes.leader()) == (1, 0, True)
