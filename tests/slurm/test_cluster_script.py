"""The script that brings up a cluster leaves alone what it did not make."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cluster as script

pytestmark = [pytest.mark.needs("root", "slurm"), pytest.mark.xdist_group("slurm")]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The script, with folders of its own."""
    (tmp_path / "etc").mkdir()
    monkeypatch.setattr(script, "ETC", tmp_path / "etc")
    monkeypatch.setattr(script, "HOME", tmp_path / "home")
    return script


@pytest.mark.parametrize("name", ["slurm.conf", "gres.conf"])
def test_the_files_of_another_slurm_are_not_touched(elsewhere, name):
    (elsewhere.ETC / name).write_text("ClusterName=theirs\n")
    with pytest.raises(elsewhere.Refused, match="belongs to another Slurm"):
        elsewhere.start()
    elsewhere.stop()
    assert os.listdir(elsewhere.ETC) == [name]
    assert (elsewhere.ETC / name).read_text() == "ClusterName=theirs\n"
    assert not elsewhere.HOME.exists()


def test_a_machine_with_other_daemons_is_refused(elsewhere, tmp_path):
    daemon = tmp_path / "slurmd"
    daemon.symlink_to("/usr/bin/sleep")
    process = subprocess.Popen([daemon, "600"])
    name = Path(f"/proc/{process.pid}/comm")
    try:
        while name.read_text() != "slurmd\n":  # still this Python
            time.sleep(0.01)
        with pytest.raises(elsewhere.Refused, match=r"another .*slurmd"):
            elsewhere.start()
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert not elsewhere.HOME.exists()


def test_a_missing_package_is_named(elsewhere, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(elsewhere.Refused, match=r"not installed: munged.*apt-get install"):
        elsewhere.start()


def test_a_process_that_has_the_number_of_one_of_ours_is_not_ended(elsewhere):
    elsewhere.HOME.mkdir()
    process = subprocess.Popen(["sleep", "600"])
    try:
        elsewhere._keep({"slurmd-one": (process.pid, "1")})  # began when the machine did
        assert not elsewhere.alive("slurmd-one")
        elsewhere.stop()
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert not elsewhere.HOME.exists()


def test_the_command_says_what_it_can_do():
    done = subprocess.run([sys.executable, script.__file__, "restart"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "start|status|stop" in done.stdout
    assert Path(script.__file__).name in done.stdout
