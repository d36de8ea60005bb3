"""Tests of one group share a worker: the smoke run that tests/workflow begins with is made once."""

import subprocess
import sys

GROUPED = """
import pytest

pytestmark = pytest.mark.xdist_group("one")


@pytest.mark.parametrize("number", range(6))
def test_worker(number, worker_id):
    with open({log!r}, "a") as log:
        print(worker_id, file=log)
"""


def test_a_group_has_one_worker(tmp_path):
    log = tmp_path / "workers"
    (tmp_path / "test_grouped.py").write_text(GROUPED.replace("{log!r}", repr(str(log))))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "--dist",
        "loadgroup",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run([*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    workers = log.read_text().split()
    assert len(workers) == 6
    assert len(set(workers)) == 1, f"the group is spread over {sorted(set(workers))}"
