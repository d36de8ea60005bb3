import subprocess
import sys

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.core.lock import alone

HOLDER = """
import sys, time
from gauntlet.core.lock import alone
with alone(sys.argv[1]):
    print("in", flush=True)
    if sys.argv[2] == "stay":
        time.sleep(600)
"""


def holder(path, what):
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), what],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_second_waits_until_the_first_is_killed(tmp_path):
    path = tmp_path / "cell" / "train.lock"
    first = holder(path, "stay")
    assert first.stdout.readline() == "in\n"
    second = holder(path, "go")
    assert "another process works on this" in second.stderr.readline()
    assert second.poll() is None
    first.kill()
    assert second.communicate(timeout=60)[0] == "in\n"
    assert second.returncode == 0


def test_another_path_is_free_and_the_same_is_free_again(tmp_path):
    with alone(tmp_path / "a"), alone(tmp_path / "b"):
        pass
    with alone(tmp_path / "a"):
        pass


def test_an_error_inside_frees_the_path(tmp_path):
    with pytest.raises(ZeroDivisionError), alone(tmp_path / "a"):
        raise ZeroDivisionError
    with alone(tmp_path / "a"):
        pass


def test_a_place_without_folders_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GauntletError, match=r"cannot lock here .*\n  remedy: "), alone(tmp_path / "file/a"):
        pass
