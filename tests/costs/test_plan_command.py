"""``gauntlet plan`` as a user types it."""

import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from gauntlet.cli import app
from gauntlet.costs import checks, forecast, jobs, rates
from gauntlet.plan import load_plan

pytestmark = pytest.mark.usefixtures("at_the_root")


def run(*arguments):
    return CliRunner().invoke(app, ["plan", *arguments], env={"COLUMNS": "200"})


def as_json(*arguments):
    return json.loads(run(*arguments, "--json").stdout)


@pytest.mark.parametrize("scale", ["smoke", "mini", "desk", "paper"])
def test_every_scale_has_a_plan(scale):
    done = run("--config", f"config/{scale}.yaml")
    plan = load_plan(f"config/{scale}.yaml")
    assert done.exit_code == (1 if "fault" in done.stdout else 0), done.output
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line}
    for name, part in plan.studies.items():
        names = {f"{cell.name} {step}" for *_, cell in part.cells for step in cell.steps}
        needed = {
            f"{other.name} train"
            for *_, cell in part.cells
            for step in cell.steps
            for other in cell.needs(step).values()
        }
        assert int(lines[name][1]) == len(names | needed)
        assert int(lines[name][3]) == sum(len(cell.seeds) for *_, cell in part.cells)
    trained = len(plan.trained())
    attacked = sum("attack" in cell.steps for cell in plan.cells())
    assert int(lines["all"][1]) == trained + attacked


def test_one_study_alone():
    found = as_json("--config", "config/mini.yaml", "--study", "rdml")
    assert list(found["studies"]) == ["rdml"]
    assert found["studies"]["rdml"]["cores"] == found["total"]["cores"]


def test_more_slots_take_less_time_and_no_fewer_hours():
    one, many = (as_json("--config", "config/mini.yaml", "--jobs", count)["total"] for count in ("1", "50"))
    assert one["wall"]["middle"] == pytest.approx(one["cores"]["middle"])
    assert many["wall"]["middle"] < one["wall"]["middle"] / 3
    assert many["cores"] == one["cores"]


def test_a_gpu_is_an_assumption_and_said_to_be_one():
    plain = as_json("--config", "config/desk.yaml", "--study", "rdml", "--profile", "slurm")
    faster = as_json(
        "--config", "config/desk.yaml", "--study", "rdml", "--profile", "slurm", "--speedup", "10"
    )
    assert plain["total"]["gpus"]["middle"] == 0
    assert faster["total"]["cores"]["middle"] == 0  # both rules of the family ask for a GPU there
    starts = sum(rates.startup().values()) * 220
    assert faster["total"]["gpus"]["middle"] - starts == pytest.approx(
        (plain["total"]["cores"]["middle"] - starts) / 10
    )
    assert any("not measured" in line and "dml_train 10 times" in line for line in faster["assumed"])
    assert any("GPU: not measured" in line for line in plain["assumed"])


def test_rules_without_a_gpu_stay_on_cores(tmp_path, monkeypatch):
    site = tmp_path / "site.yaml"
    site.write_text("resources: {default: {partition: cpu, runtime: 60, mem_mb: 1000, gpu: 0}}")
    monkeypatch.setenv("GAUNTLET_SITE", str(site))
    found = as_json(
        "--config", "config/mini.yaml", "--study", "mega", "--profile", "slurm", "--speedup", "10"
    )
    assert found["total"]["gpus"]["middle"] == 0
    assert found["total"]["cores"]["middle"] > 0


def test_a_fault_is_the_exit_status(monkeypatch):
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000})())
    done = run("--config", "config/mini.yaml", "--study", "rdml")
    assert done.exit_code == 1
    assert re.search(r"fault +disk: .* needed, 1 kB free\n +remedy: ", done.stdout)


def test_nobody_is_told_hours_that_nobody_measured():
    found = as_json("--config", "config/mini.yaml", "--device", "a machine that nobody has")
    assert found["device"] is None
    assert found["total"]["cores"] == {"low": 0.0, "middle": 0.0, "high": 0.0}
    assert sum(found["total"]["unknown"].values()) == found["total"]["jobs"]


def test_the_help_names_every_option():
    text = run("--help").stdout
    for option in ("--config", "--study", "--jobs", "--profile", "--speedup", "--device", "--json"):
        assert option in text


def test_a_wrong_study_is_one_message():
    done = run("--config", "config/mini.yaml", "--study", "eta")
    assert "unknown study 'eta'" in str(done.exception)


def test_finished_jobs_are_not_planned_again(tmp_path, monkeypatch):
    plan = load_plan("config/mini.yaml")
    part = plan.part("rdml")
    known = rates.Rates(rates.measured()[0])
    whole = forecast.of_study(part, known, 2)
    cell = part.cells[0].cell
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / cell.train_folder
    folder.mkdir(parents=True)
    for table in part.steps["train"]:
        (folder / f"{table}.parquet").touch()
    left = forecast.of_study(part, known, 2)
    assert (whole.done, left.done) == (0, 1)
    job = jobs.of_cells([cell])[cell.train_folder.as_posix()]
    assert job.done
    assert whole.cores.middle - left.cores.middle == pytest.approx(known.seconds(job).middle)


def test_a_family_that_does_not_count_its_work_is_planned_by_its_jobs_alone(monkeypatch):
    monkeypatch.setattr(jobs, "work_of", lambda family: None)
    found = forecast.of_study(load_plan("config/mini.yaml").part("rdml"), rates.Rates([]), 2)
    assert (found.jobs, found.trials) == (12, 30)
    assert found.unknown == {"dml_train": 6, "dml_attack": 6}
    assert found.weights == 0


def test_weights_are_counted_as_the_files_hold_them():
    """The state of every member and seed, four bytes a number; files add names and proxies."""
    content = yaml.safe_load(Path("config/smoke.yaml").read_text())
    content["studies"] = {"rdml": content["studies"]["rdml"]}
    from gauntlet.models import build
    from gauntlet.plan import make_plan

    cells = list(make_plan(content, file="x").cells())
    cell = cells[0]
    net = build(cell.architecture, 1, 8, cell.identity["train"]["embedding"])
    numbers = sum(value.numel() for value in net.state_dict().values())
    trained = {c.name for c in cells} | {o.name for c in cells for s in c.steps for o in c.needs(s).values()}
    members = cell.identity["method"]["members"]
    assert members == 1
    assert jobs.weight_bytes(cells) == 4 * numbers * len(cell.seeds) * len(trained)
