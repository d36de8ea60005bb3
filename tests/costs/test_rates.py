"""Rates: what is fitted from measured jobs, and what is said of others."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from gauntlet.costs.against import accuracy, compare
from gauntlet.costs.jobs import Job
from gauntlet.costs.rates import Measured, Rates, measured, ran, startup


def job(label="at", seeds=1, operations=1e9, **others):
    fields = {"family": "dml", "step": "train", "architecture": "conv"} | others
    return Job(
        name=f"{label} {seeds} {operations} {fields}",
        label=label,
        seeds=seeds,
        operations=operations,
        **fields,
    )


def ran_for(seconds, device="CPU", study="s", scale="mini", **fields):
    return Measured(job(**fields), device, seconds, study, scale, Path(study) / scale)


def test_a_job_of_the_same_method_takes_as_long_per_operation():
    rates = Rates([ran_for(10.0), ran_for(50.0, label="none")])
    assert rates.seconds(job(seeds=3, operations=2e9)).middle == pytest.approx(60)
    assert rates.seconds(job(label="none", operations=5e8)).middle == pytest.approx(25)


def test_a_method_that_was_not_measured_has_the_median_of_its_family():
    rates = Rates([ran_for(value, label=name) for name, value in zip("abc", (1.0, 3.0, 11.0), strict=True)])
    assert rates.seconds(job("other", operations=2e9)).middle == pytest.approx(6)


def test_the_interval_is_that_of_the_measured_jobs():
    seconds = [float(value) for value in np.random.default_rng(0).uniform(1, 9, 25)]
    found = Rates([ran_for(value) for value in seconds]).seconds(job())
    assert found == pytest.approx(tuple(np.quantile(seconds, (0.1, 0.5, 0.9))))


def test_few_jobs_of_a_method_have_the_spread_of_their_family():
    others = [ran_for(value, label="b") for value in (1.0, 2.0, 4.0, 8.0, 16.0)]
    every = [1.0, 2.0, 4.0, 8.0, 16.0, 100.0]
    low, middle, high = Rates([*others, ran_for(100.0)]).seconds(job())
    assert middle == pytest.approx(100)
    assert low / middle == pytest.approx(np.quantile(every, 0.1) / np.median(every))
    assert high / middle == pytest.approx(np.quantile(every, 0.9) / np.median(every))


def test_nothing_is_said_of_steps_that_nobody_measured():
    rates = Rates([ran_for(10.0)])
    assert rates.seconds(job(step="attack")) is None
    assert rates.seconds(job(family="federated")) is None
    assert rates.seconds(job(operations=None)) is None
    assert Rates([]).seconds(job()) is None


def test_jobs_that_pass_no_network_are_measured_by_the_seed():
    rates = Rates([ran_for(10.0, operations=0, seeds=20), ran_for(7.0)])
    assert rates.seconds(job(operations=0, seeds=40)).middle == pytest.approx(20)


def test_the_start_up_is_added_and_no_gpu_makes_it_shorter():
    rates = Rates([ran_for(10.0)], startup={"train": 4.0}, faster={"dml_train": 5.0})
    assert rates.seconds(job(seeds=10)).middle == pytest.approx(100 / 5 + 4)


def test_devices_are_not_mixed():
    found = [ran_for(10.0), ran_for(10.0), ran_for(1.0, device="NVIDIA H100")]
    assert Rates(found).device == "CPU"
    assert Rates(found).seconds(job()).middle == pytest.approx(10)
    assert Rates(found, device="h100").seconds(job()).middle == pytest.approx(1)
    assert Rates(found, device="absent").seconds(job()) is None


def test_a_network_that_was_not_measured_is_far():
    rates = Rates([ran_for(10.0)])
    assert not rates.is_far(job())
    assert rates.is_far(job(architecture="resnet50"))


def test_a_needed_training_counts_once():
    shared = {"folder": "results/shadows", "seconds": 9.0, "device": "CPU"}
    cells = [
        {
            "attack": {"folder": f"results/{name}", "seconds": 1.0, "device": "CPU"},
            "needed": {"shadows": shared},
        }
        for name in "ab"
    ]
    assert sorted(entry["seconds"] for entry in ran({"cells": cells})) == [1.0, 1.0, 9.0]


def test_published_jobs_with_other_settings_are_left_out(at_the_root, tmp_path):
    manifest = json.loads(Path("published/eat/mini/manifest.json").read_text())
    folder = tmp_path / "eat/mini"
    folder.mkdir(parents=True)
    manifest["cells"][0]["train"]["folder"] += "-with-other-epochs"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found, strangers = measured([tmp_path])
    assert (len(found), strangers) == (15, 1)


def test_jobs_that_only_start_up_give_no_rate(at_the_root, tmp_path):
    manifest = json.loads(Path("published/eat/mini/manifest.json").read_text())
    for scale in ("smoke", "mini"):
        folder = tmp_path / "eat" / scale
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps(manifest | {"scale": scale}))
    found, strangers = measured([tmp_path])
    assert {one.scale for one in found} == {"mini"}
    assert strangers == 0


def test_another_scale_that_is_not_valid_stops_no_plan(tmp_path, monkeypatch, at_the_root):
    manifest = Path("published/eat/mini/manifest.json").read_text()
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "published/eat/mini"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(manifest)
    assert measured() == ([], 16)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mini.yaml").write_text("scale: mini\n")
    assert measured() == ([], 16)


def test_the_start_up_is_that_of_the_benchmark(at_the_root):
    found = startup()
    entries = json.loads(Path("benchmarks/results/startup.json").read_text())["comparisons"]
    assert found["train"] in [
        entry["our_seconds"] for entry in entries if entry["ours"] == "imports of dml train"
    ]
    assert startup(Path("absent.json")) == {}


def test_a_run_is_compared_with_what_other_runs_say_of_it():
    found = [ran_for(10.0), ran_for(30.0, study="other"), ran_for(5.0, step="attack")]
    train, attack = compare(found, Path("s/mini"))
    assert (train.jobs, train.planned.middle, train.spent, train.unplanned) == (1, pytest.approx(30), 10.0, 0)
    assert (attack.jobs, attack.spent, attack.unplanned) == (0, 0.0, 1)
    assert [row.ratio for row in accuracy(found)] == pytest.approx([1 / 3, 3])


def test_a_study_is_not_planned_from_its_own_run_elsewhere():
    """What is published of a study at this scale is no other run."""
    there = Measured(job(), "CPU", 20.0, "s", "mini", Path("published/s/mini"))
    assert [row.jobs for row in compare([ran_for(10.0), there], Path("s/mini"))] == [0]


def test_published_runs_are_planned_within_the_factor_that_the_docs_state(at_the_root):
    """Each study at each scale from all others: also at desk, which is up to a hundred times mini. Jobs on
    8 x 8 pixels are bound by their steps, inversions most of all, which the docs say."""
    (stated,) = re.findall(r"within\s+a\s+factor\s+of\s+(\d+(?:\.\d+)?)", Path("docs/plan.md").read_text())
    found = measured([Path("published")])[0]
    large = [one for one in found if one.job.family != "inversion" and "/digits/" not in one.job.name]
    rows = accuracy(large)
    assert len(rows) >= 10
    for row in rows:
        assert 1 / float(stated) < row.ratio < float(stated), row
