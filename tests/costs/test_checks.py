"""What is looked for before anything is spent, on machines that are made up."""

import os
import shutil
from collections import namedtuple

import pytest
import yaml

from gauntlet.core.errors import GauntletError
from gauntlet.costs import checks, place
from gauntlet.plan import load_plan

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def paper(at_the_root):
    return list(load_plan("config/paper.yaml").cells())


@pytest.fixture
def sinfo(tmp_path, monkeypatch):
    """Lines that a ``sinfo`` on PATH prints."""

    def write(*lines, status=0):
        script = tmp_path / "sinfo"
        printed = "".join(f"echo '{line}'\n" for line in lines)
        script.write_text(f"#!/bin/sh\n{printed}exit {status}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return write


@pytest.fixture
def site(at_the_root, tmp_path, monkeypatch):
    """A GPU partition for what trains and attacks; attempts ask for 4, 8 and 12 hours."""
    file = tmp_path / "site.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "pack": 3,
                "resources": {
                    "default": {"partition": "gpu", "runtime": 240, "mem_mb": 1000},
                    "privacy_attack": {"partition": "cpu", "runtime": 60, "max_runtime": 90},
                },
            }
        )
    )
    monkeypatch.setenv("GAUNTLET_SITE", str(file))
    return place.load("slurm")


def states(found):
    return [check.state for check in found]


def test_sets_that_need_an_account_stop_a_run_and_others_do_not(paper, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {check.text.split()[1]: check for check in checks.data(paper)}
    assert found["imagenet-val"].state == "fault"
    assert "account" in found["imagenet-val"].remedy
    assert "GAUNTLET_DATA" in found["imagenet-val"].remedy
    assert found["cifar10"].state == "note"
    assert "gauntlet data fetch cifar10" in found["cifar10"].remedy


def test_what_is_prepared_is_not_asked_for(paper, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before, _ = checks.data_bytes(paper)
    (tmp_path / "data/fashion-mnist").mkdir(parents=True)
    (tmp_path / "data/fashion-mnist/dataset.json").write_text("{}")
    after, unknown = checks.data_bytes(paper)
    assert checks.data(paper)[0] == ("ok", "prepared: fashion-mnist", "")
    # 70,000 images, as the publisher's files (with headers and labels) and as arrays
    assert before - after == 2 * 70000 * 28 * 28 + 70000 + 2 * 16 + 2 * 8
    assert "in-shop" in unknown


def test_a_thiefs_images_are_asked_for(at_the_root):
    """``knockoff`` asks about images of a set that no grid names."""
    cells = [
        c for c in load_plan("config/desk.yaml").cells() if c.identity["method"].get("stealing") == "knockoff"
    ]
    assert checks.datasets(cells) == {"fashion-mnist", cells[0].identity["method"]["natural"]}


def test_weights_that_nothing_brings_stop_a_run(paper, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = checks.pretrained(paper)
    assert {check.state for check in found if "ImageNet" in check.text} == {"note"}
    assert {check.state for check in found if "LPIPS" in check.text} == {"fault"}
    assert all(check.remedy for check in found)


@pytest.mark.parametrize(("need", "state"), [(5e9, "ok"), (5.1e9, "fault")])
def test_the_disk_must_have_room(monkeypatch, need, state):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**10, 5 * 10**9, 5 * 10**9))
    found = checks.disk(need)
    assert found.state == state
    assert bool(found.remedy) == (state == "fault")


def test_partitions_as_slurm_prints_them(sinfo):
    sinfo("cpu|1-00:00:00", "gpu|2:30:00", "short|30:00", "long|infinite", "odd|n/a")
    limits = {"cpu": 1440, "gpu": 150, "short": 30, "long": None, "odd": None}
    assert checks.partitions() == limits


def test_a_partition_that_is_not_there_stops_a_run(sinfo, site):
    sinfo("cpu|infinite", "a100|infinite")
    (fault,) = checks.slurm(site, ["dml_train", "claims"], {})
    assert fault.state == "fault"
    assert "'gpu'" in fault.text
    assert "a100, cpu" in fault.remedy


def test_a_limit_below_the_runtime_stops_a_run(sinfo, site):
    sinfo("cpu|infinite", "gpu|1:00:00")
    found = checks.slurm(site, ["dml_train", "dml_attack", "claims"], {})
    assert states(found) == ["fault", "fault"]
    assert "240 minutes" in found[1].text
    assert "at most 60" in found[1].text


def test_a_limit_that_a_later_attempt_passes_is_noted(sinfo, site):
    sinfo("cpu|infinite", "gpu|10:00:00")  # attempts ask for 4, 8 and 12 hours
    (note,) = checks.slurm(site, ["dml_train"], {})
    assert note.state == "note"
    assert "attempt 3" in note.text


def test_a_job_that_outlasts_its_runtime_is_noted(sinfo, site):
    sinfo("cpu|infinite", "gpu|infinite")
    assert states(checks.slurm(site, ["dml_train"], {"dml_train": 239 * 60})) == ["ok"]
    assert states(checks.slurm(site, ["dml_train"], {"dml_train": 241 * 60})) == ["note"]


def test_without_an_answer_from_slurm_nothing_is_claimed(sinfo, site):
    sinfo(status=1)
    (note,) = checks.slurm(site, ["dml_train"], {})
    assert (note.state, "not checked" in note.text) == ("note", True)
    assert checks.slurm(place.load(None), ["dml_train"], {}) == []


def test_packed_cells_are_one_job(site):
    # four and one of partition gpu in packs of three, two of cpu in one; claims are made by the submit host
    rules = [*["dml_train"] * 4, "dml_attack", *["privacy_attack"] * 2, "claims"]
    assert site.submitted(rules) == 2 + 1
    assert place.load(None).submitted(rules) == 8


def test_a_place_is_a_site_or_this_machine(site):
    assert site.jobs == 100
    assert place.load(None).jobs == os.cpu_count()
    with pytest.raises(GauntletError, match="no profile 'absent'"):
        place.load("absent")


def test_time_grows_up_to_what_the_site_allows(site):
    assert [site.minutes("dml_train", attempt) for attempt in (1, 2, 3)] == [240, 480, 720]
    assert [site.minutes("privacy_attack", attempt) for attempt in (1, 2)] == [60, 90]
    assert site.minutes("claims") is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(35, "35 s"), (720, "12 min"), (12240, "3.4 h"), (864000, "10 days")]
)
def test_times_in_words(seconds, text):
    assert checks.hours(seconds) == text
