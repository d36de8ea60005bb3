"""What a job tells of itself while it works, and whether others believe that it lives."""

import json
import os
import platform
import subprocess
import sys
import time

import psutil
import pytest

from gauntlet.core import pulse


def test_a_job_that_ends_well_leaves_its_samples_beside_its_results(tmp_path, monkeypatch):
    monkeypatch.setattr(pulse, "SHORTEST", 0.05)
    path, keep = tmp_path / "state/train.pulse", tmp_path / "results/system.jsonl"
    before = time.time()
    with pulse.beating(path, keep):
        who = pulse.read(path)[0]
        assert who["pid"] == os.getpid()
        assert who["host"] == platform.node()
        assert before - 1 < who["started"] <= time.time()
        assert pulse.alive(path, who, time.time())
        while len(pulse.read(path)) < 3:
            time.sleep(0.01)
    assert not path.exists()
    _, *samples = pulse.read(keep)
    assert [sample["seconds"] for sample in samples] == sorted(sample["seconds"] for sample in samples)
    rss = psutil.Process().memory_info().rss / 2**20
    assert samples[0]["memory"] == pytest.approx(rss, rel=0.3)
    assert all(0 <= sample["machine_cpu"] <= 100 for sample in samples)


def test_a_job_that_fails_leaves_its_samples_where_they_were(tmp_path):
    path, keep = tmp_path / "train.pulse", tmp_path / "system.jsonl"
    with pytest.raises(RuntimeError), pulse.beating(path, keep):
        raise RuntimeError
    assert path.is_file()
    assert not keep.exists()


def test_a_folder_that_cannot_be_written_costs_the_samples_alone(tmp_path):
    (tmp_path / "file").write_text("")
    done = []
    with pulse.beating(tmp_path / "file/train.pulse", tmp_path / "system.jsonl"):
        done.append(1)
    assert done
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_line_that_is_being_written_is_left_out(tmp_path):
    path = tmp_path / "train.pulse"
    path.write_text('{"pid": 1, "host": "a", "started": 5}\n{"seconds": 1}\n{"seco')
    assert pulse.read(path) == [{"pid": 1, "host": "a", "started": 5}, {"seconds": 1}]
    path.write_text("{}\n")
    assert pulse.read(path) == []
    assert pulse.read(tmp_path / "absent") == []


def test_who_is_believed_to_live(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    path, now = tmp_path / "train.pulse", 1e9
    path.write_text(json.dumps({"started": now}))
    os.utime(path, (now, now))
    here, there = {"pid": os.getpid(), "host": platform.node()}, {"pid": child.pid, "host": "elsewhere"}
    assert pulse.alive(path, here, now + 60)
    assert pulse.alive(path, there, now + 60)
    assert not pulse.alive(path, {**there, "host": platform.node()}, now + 60)  # that process has ended
    assert not pulse.alive(path, there, now + 1000)  # silent for too long
    assert not pulse.alive(tmp_path / "absent", here, now)
