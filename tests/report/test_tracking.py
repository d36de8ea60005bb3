"""Tracking against real MLflow stores; what is in them is read with plain SQL."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import write_parquet
from gauntlet.core.provenance import Recorder, sidecar_path
from gauntlet.report import tracking, trials

pytestmark = pytest.mark.filterwarnings("ignore")
METRICS = ("recall@1", "map@r")


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """The working directory of every test, without the user's tracker."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Path:
    """A store without runs; making one takes MLflow longer than filling it."""
    database = tmp_path_factory.mktemp("empty") / "mlflow.db"
    tracking.track("other", "mini", [], uri=f"sqlite:///{database}")
    return database


@pytest.fixture
def store(workplace, empty) -> None:
    """The working directory has a store."""
    shutil.copy(empty, "mlflow.db")


def cell(defense: str, seeds=(0, 1)) -> dict:
    """A cell's description, as the workflow gives it; nothing on disk yet."""
    folder = f"results/dml/digits/conv/{defense}-1a2b/seeds-0-1"
    identity = {
        "family": "dml",
        "dataset": "digits",
        "architecture": "conv",
        "method": {"defense": defense, "members": 2, "options": {}},
        "train": {"epochs": 3, "lr": 0.001},
    }
    return {
        "dataset": "digits",
        "setting": "",
        "architecture": "conv",
        "method": defense,
        "model": f"{defense}-1a2b",
        "block": "0-1",
        "seeds": list(seeds),
        "identity": identity,
        "steps": {"train": folder, "attack": f"{folder}/attack-77ff"},
        "tables": {
            "training": f"{folder}/training.parquet",
            "scores": f"{folder}/attack-77ff/scores.parquet",
        },
    }


def finish(spec: dict, offset: float = 0.0) -> None:
    """Write what the cell's jobs would write."""
    training = [
        {"seed": s, "epoch": e, "member": m, "loss": 3.0 - e - m / 4 + s + offset, "passes": 2.0 * (e + 1)}
        for s in spec["seeds"]
        for e in range(3)
        for m in range(2)
    ]
    base = {"fraction": 1.0, "view": "ensemble", "detail": "", "steps": 10, "eps": 0.03}
    scores = []
    for seed in spec["seeds"]:
        row = base | {"seed": seed}
        for number, metric in enumerate(METRICS):
            value = 0.5 + 0.1 * seed + number / 100 + offset / 10
            scores.append(row | {"suite": "main", "attack": "worst", "metric": metric, "value": value})
            scores.append(
                row | {"suite": "main", "attack": "shift", "view": "member", "metric": metric, "value": 0.4}
            )
            for eps in (0.01, 0.02):
                scores.append(
                    row
                    | {"suite": "eps", "attack": "joint_pair", "eps": eps, "metric": metric, "value": 1 - eps}
                )
        scores.append(
            row
            | {
                "suite": "transfer",
                "attack": "shift",
                "detail": "0->1",
                "metric": "recall@1",
                "value": 0.25,
            }
        )
    for name, rows, step in (("training", training, "train"), ("scores", scores, "attack")):
        path = Path(spec["tables"][name])
        recorder = Recorder(f"dml {step}", {"any": 1})
        write_parquet(path, pd.DataFrame(rows))
        recorder.write(path, device="Test CPU")


def query(sql: str, *values, database: str = "mlflow.db") -> list[tuple]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql, values).fetchall()


def active(database: str = "mlflow.db") -> list[str]:
    """The trials of all active runs that are complete, sorted; fails on an incomplete one."""
    rows = query(
        "select t.value, c.value from runs r "
        "join tags t on t.run_uuid = r.run_uuid and t.key = 'gauntlet.trial' "
        "left join tags c on c.run_uuid = r.run_uuid and c.key = 'gauntlet.complete' "
        "where r.lifecycle_stage = 'active' order by t.value",
        database=database,
    )
    assert {complete for _, complete in rows} <= {"yes"}
    return [trial for trial, _ in rows]


def expected(*specs: dict) -> list[str]:
    return sorted(f"eat/digits/conv/{spec['model']}/77ff/{seed}" for spec in specs for seed in spec["seeds"])


def run_of(trial: str) -> str:
    ((run,),) = query(
        "select r.run_uuid from runs r join tags t on t.run_uuid = r.run_uuid "
        "where t.key = 'gauntlet.trial' and t.value = ? and r.lifecycle_stage = 'active'",
        trial,
    )
    return run


def counts(summary: dict) -> dict:
    return {key: value for key, value in summary.items() if isinstance(value, int) and value}


def tags_of(run: str) -> dict[str, str]:
    return dict(query("select key, value from tags where run_uuid = ?", run))


@pytest.mark.usefixtures("store")
def test_a_trial_becomes_a_run_with_all_it_knows():
    spec = cell("eat")
    finish(spec)
    summary = tracking.track("eat", "mini", [spec])
    assert counts(summary) == {"new": 2}
    assert summary["uri"] == "sqlite:///mlflow.db"
    assert active() == expected(spec)
    assert query("select count(*) from experiments where lifecycle_stage = 'active' and name = 'eat'") == [
        (1,)
    ]

    run = run_of("eat/digits/conv/eat-1a2b/77ff/1")
    assert query("select name, status from runs where run_uuid = ?", run) == [
        ("eat digits/conv seed 1", "FINISHED")
    ]
    params = dict(query("select key, value from params where run_uuid = ?", run))
    assert params["method.defense"] == "eat"
    assert params["method.members"] == "2"
    assert params["train.lr"] == "0.001"
    assert params["seed"] == "1"

    points = {(k, s): v for k, s, v in query("select key, step, value from metrics where run_uuid = ?", run)}
    assert points["worst/recall_at_1", 0] == pytest.approx(0.6)
    assert points["worst/map_at_r", 0] == pytest.approx(0.61)
    assert points["shift/member/recall_at_1", 0] == pytest.approx(0.4)
    assert points["eps sweep/joint_pair/recall_at_1", 20] == pytest.approx(0.98)
    assert points["transfer/shift/0 to 1/recall_at_1", 0] == pytest.approx(0.25)
    assert [points["train/loss", epoch] for epoch in range(3)] == pytest.approx([3.875, 2.875, 1.875])
    assert points["train/member 1/loss", 2] == pytest.approx(1.75)
    assert points["train/passes", 2] == 6.0

    tags = dict(query("select key, value from tags where run_uuid = ?", run))
    assert tags["gauntlet.device"] == "Test CPU"
    assert tags["gauntlet.scale"] == "mini"
    assert tags["gauntlet.commit"]
    artifacts = Path(query("select artifact_uri from runs where run_uuid = ?", run)[0][0])
    assert sorted(path.name for path in artifacts.iterdir()) == [
        "scores.csv",
        "scores.parquet.provenance.json",
        "training.csv",
        "training.parquet.provenance.json",
    ]
    assert set(pd.read_csv(artifacts / "scores.csv")["seed"]) == {1}


@pytest.mark.usefixtures("store")
def test_a_trial_without_attacks_has_its_curves():
    folder = "results/federated/digits/conv/random-1a2b/seeds-0-1"
    spec = cell("random") | {
        "steps": {"train": folder},
        "tables": {name: f"{folder}/{name}.parquet" for name in ("training", "rounds", "picks", "clients")},
    }
    assert counts(tracking.track("fedemd", "mini", [spec])) == {"unfinished": 2}
    training = [
        {"seed": s, "epoch": e, "member": 0, "loss": 2.0 - e, "passes": 1.0} for s in (0, 1) for e in (0, 1)
    ]
    rounds = [
        {"seed": s, "round": e, "label": label, "total": 10, "correct": 2 * e + label + s, "loss": 0.5}
        for s in (0, 1)
        for e in (0, 1)
        for label in (0, 1)
    ]
    for name, rows in (("training", training), ("rounds", rounds)):
        path = Path(spec["tables"][name])
        recorder = Recorder("federated train", {"any": 1})
        write_parquet(path, pd.DataFrame(rows))
        recorder.write(path, device="Test CPU")
    assert counts(tracking.track("fedemd", "mini", [spec])) == {"new": 2}
    run = run_of("fedemd/digits/conv/random-1a2b/1")
    points = {(k, s): v for k, s, v in query("select key, step, value from metrics where run_uuid = ?", run)}
    assert points["test/accuracy", 0] == pytest.approx(3 / 20)
    assert points["test/accuracy", 1] == pytest.approx(7 / 20)
    assert points["train/loss", 1] == pytest.approx(1.0)
    artifacts = Path(query("select artifact_uri from runs where run_uuid = ?", run)[0][0])
    assert {path.name for path in artifacts.glob("*.csv")} == {"rounds.csv", "training.csv"}


@pytest.mark.usefixtures("store")
def test_a_second_ingest_changes_nothing_and_another_scale_only_its_tag():
    spec = cell("at")
    finish(spec)
    tracking.track("eat", "mini", [spec])

    def dump():
        with closing(sqlite3.connect("mlflow.db")) as connection:
            return sorted(connection.iterdump())

    before = dump()
    assert counts(tracking.track("eat", "mini", [spec])) == {"kept": 2}
    assert dump() == before
    assert counts(tracking.track("eat", "desk", [spec, dict(spec)])) == {"kept": 2}
    changed = [line for line in set(dump()) ^ set(before) if not line.startswith("BEGIN")]
    assert len(changed) == 6  # the tags of two trials and their cell, before and after
    assert all("gauntlet.scale" in line for line in changed)
    assert sum("desk,mini" in line for line in changed) == 3


@pytest.mark.usefixtures("store")
def test_jobs_that_finish_later_are_added_and_half_written_ones_wait():
    done, writing, absent = cell("none"), cell("at"), cell("eat")
    finish(done)
    finish(writing)
    scores = Path(writing["tables"]["scores"])
    whole = scores.read_bytes()
    scores.write_bytes(whole[:-1])  # the sidecar names other bytes
    assert counts(tracking.track("eat", "mini", [done, writing, absent])) == {"new": 2, "unfinished": 4}
    assert active() == expected(done)

    scores.write_bytes(whole)
    finish(absent)
    sidecar_path(Path(absent["tables"]["scores"])).unlink()
    assert counts(tracking.track("eat", "mini", [done, writing, absent])) == {
        "kept": 2,
        "new": 2,
        "unfinished": 2,
    }
    finish(absent)
    assert counts(tracking.track("eat", "mini", [done, writing, absent])) == {"kept": 4, "new": 2}
    assert active() == expected(done, writing, absent)


@pytest.mark.usefixtures("store")
def test_changed_incomplete_and_doubled_runs_are_put_right():
    from mlflow.tracking import MlflowClient

    first, second = cell("none"), cell("at")
    finish(first)
    finish(second)
    tracking.track("eat", "mini", [first, second])
    finish(first, offset=1.0)  # the cell was trained again
    client = MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")
    torn = run_of("eat/digits/conv/at-1a2b/77ff/0")
    client.delete_tag(torn, "gauntlet.complete")
    double = client.get_run(run_of("eat/digits/conv/at-1a2b/77ff/1"))
    client.create_run(double.info.experiment_id, tags=dict(double.data.tags))

    summary = tracking.track("eat", "mini", [first, second])
    assert counts(summary) == {"replaced": 3, "kept": 1, "removed": 1}
    assert active() == expected(first, second)
    assert run_of("eat/digits/conv/at-1a2b/77ff/0") != torn
    ((value,),) = query(
        "select value from metrics where run_uuid = ? and key = 'worst/recall_at_1'",
        run_of("eat/digits/conv/none-1a2b/77ff/0"),
    )
    assert value == pytest.approx(0.6)


def test_two_at_once_on_a_fresh_store_make_each_run_once():
    specs = [cell("none"), cell("at"), cell("eat")]
    for spec in specs:
        finish(spec)
    code = f"from gauntlet.report.tracking import track; print(track('eat', 'mini', {specs!r}))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    texts = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], texts
    assert sorted("'new': 6" in out for out, _ in texts) == [False, True]
    assert all(err == "" for _, err in texts)  # no migration log, no warnings
    assert active() == expected(*specs)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_dead_server_is_one_error_that_names_it_without_its_password():
    spec = cell("eat")
    finish(spec)
    port = _free_port()
    with pytest.raises(GauntletError) as caught:
        tracking.track("eat", "mini", [spec], uri=f"http://someone:secret@127.0.0.1:{port}")
    assert f"http://***@127.0.0.1:{port}" in str(caught.value)
    assert "MLFLOW_TRACKING_URI" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not Path("mlflow.db").exists()


class Server:
    """A real `mlflow server` on loopback with SQLite behind it, in a process group of its own."""

    def __init__(self, folder: Path):
        self.port, self.folder, self.process = _free_port(), folder, None
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
                *("--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}"),
                *("--artifacts-destination", str(self.folder / "artifacts")),
            ],
            cwd=self.folder,
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + 120
        while time.monotonic() < end:
            assert self.process.poll() is None, "the server ended"
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
                return
            except OSError:
                time.sleep(0.2)
        pytest.fail("the server did not come up")

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def server(workplace):
    folder = workplace / "server"
    folder.mkdir()
    server = Server(folder)
    server.start()
    yield server
    server.kill()


@pytest.mark.slow
def test_a_server_killed_in_mid_ingest_has_each_run_once_after_the_next(server, monkeypatch):
    from gauntlet.report.mlflow_ingest import MlflowClient

    specs = [cell("none"), cell("at")]
    for spec in specs:
        finish(spec)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    log_batch, calls = MlflowClient.log_batch, []

    def last_words(self, *args):
        log_batch(self, *args)
        calls.append(args)
        if len(calls) == 2:
            server.kill()

    database = str(server.folder / "server.db")
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", last_words)
        with pytest.raises(GauntletError, match=str(server.port)):
            tracking.track("eat", "mini", specs)
    torn = query(
        "select count(*) from tags where key = 'gauntlet.complete' union all "
        "select count(*) from tags where key = 'gauntlet.trial'",
        database=database,
    )
    assert torn == [(1,), (2,)]  # one run whole, one torn

    server.start()
    assert counts(tracking.track("eat", "mini", specs)) == {"kept": 1, "replaced": 1, "new": 2}
    assert active(database) == expected(*specs)
    assert counts(tracking.track("eat", "mini", specs)) == {"kept": 4}
    assert len(list(server.folder.rglob("scores.csv"))) == 4
    assert not Path("mlflow.db").exists()


@pytest.mark.slow
def test_jobs_finish_while_two_ingest_and_the_server_comes_and_goes(server, monkeypatch):
    """No job knows of the server; in the end every trial is there once."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    database = str(server.folder / "server.db")
    specs = [cell(f"method{number}", seeds=[0]) for number in range(32)]
    for spec in specs[:8]:
        finish(spec)
    code = f"from gauntlet.report.tracking import track; print(track('eat', 'mini', {specs!r}))"

    def two():
        return [
            subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            for _ in range(2)
        ]

    def done():
        return query("select count(*) from tags where key = 'gauntlet.complete'", database=database)[0][0]

    ingesting, end = two(), time.monotonic() + 120
    jobs = threading.Thread(target=lambda: [finish(spec) for spec in specs[8:]])
    while done() < 3 and time.monotonic() < end:
        time.sleep(0.05)
    jobs.start()
    server.kill()
    said = [process.communicate(timeout=120)[0].decode() for process in ingesting]
    assert all(
        process.returncode and str(server.port) in text for process, text in zip(ingesting, said, strict=True)
    )
    jobs.join()
    server.start()
    again = two()
    said = [process.communicate(timeout=300)[0].decode() for process in again]
    assert [process.returncode for process in again] == [0, 0], said
    assert active(database) == expected(*specs)
    assert sorted("'kept': 32" in text for text in said) == [False, True]


@pytest.mark.usefixtures("store")
def test_trials_lie_below_their_cell_and_its_blocks_are_one():
    first, second = cell("eat"), cell("eat", seeds=[2])
    second |= {
        "block": "2",
        "steps": {step: path.replace("seeds-0-1", "seeds-2") for step, path in first["steps"].items()},
        "tables": {name: path.replace("seeds-0-1", "seeds-2") for name, path in first["tables"].items()},
    }
    finish(first)
    tracking.track("eat", "mini", [first, second])
    finish(second)
    summary = tracking.track("eat", "mini", [first, second])
    assert counts(summary) == {"kept": 2, "new": 1}
    names = [f"eat/digits/conv/eat-1a2b/77ff/{seed}" for seed in range(3)]
    assert summary["runs"] == {name: run_of(name) for name in names}
    ((parent,),) = query(
        "select r.run_uuid from runs r join tags t on t.run_uuid = r.run_uuid "
        "where t.key = 'gauntlet.kind' and t.value = 'cell' and r.lifecycle_stage = 'active'"
    )
    children = [tags_of(run) for run in summary["runs"].values()]
    assert {tags["mlflow.parentRunId"] for tags in children} == {parent}
    assert [tags["seed"] for tags in children] == ["0", "1", "2"]
    found = tags_of(parent)
    wanted = {"study": "eat", "dataset": "digits", "architecture": "conv", "method": "eat"}
    assert wanted.items() <= found.items()
    assert "seed" not in found
    means = dict(query("select key, value from metrics where run_uuid = ?", parent))
    assert means["mean/worst/recall_at_1"] == pytest.approx((0.5 + 0.6 + 0.7) / 3)
    assert means["mean/train/loss"] == pytest.approx((0.875 + 1.875 + 2.875) / 3)  # of the last epoch
    assert not [name for name in means if "sweep" in name or "transfer" in name]


@pytest.mark.usefixtures("store")
def test_samples_of_the_machine_have_the_names_that_mlflow_draws():
    spec = cell("eat")
    finish(spec)
    lines = [{"pid": 1, "host": "a", "started": 1000.0}]
    lines += [{"seconds": n, "cpu": 90.0 + n, "memory": 512.0, "machine_cpu": 50.0} for n in range(500)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    Path(spec["steps"]["train"], "system.jsonl").write_text(text)
    tracking.track("eat", "mini", [spec])
    rows = query(
        "select timestamp, value from metrics where key = 'system/process_cpu_percentage' order by 1"
    )
    assert 150 <= len(rows) <= 200
    assert all(value == 90 + (when - 1_000_000) / 1000 for when, value in rows)
    names = {name for (name,) in query("select distinct key from metrics where key like 'system/%'")}
    assert "system/cpu_utilization_percentage" in names
    assert "system/gpu_0_memory_usage_megabytes" not in names


def test_the_dataset_is_an_input_with_its_version_and_where_it_is_from():
    from gauntlet.report.mlflow_inputs import inputs

    version = "214ce952495f5ac83ecf65aa45d8a5b1.dir"
    read = {
        "data/fashion-mnist/train_images.npy": "cd" * 32,  # of the dataset
        "datasets/weights/resnet18.safetensors": "ab" * 32,
    }
    (mnist, tags), (file, _) = inputs({"dataset": "fashion-mnist"}, {"data_version": version, "inputs": read})
    assert (mnist.name, mnist.digest, tags[0].value) == ("fashion-mnist", version, "training")
    assert json.loads(mnist.source)["url"].startswith("http")
    assert json.loads(mnist.profile)["train examples"] == 60_000
    features = json.loads(json.loads(mnist.schema)["mlflow_tensorspec"]["features"])
    assert features[0]["tensor-spec"]["shape"] == [-1, 1, 28, 28]
    assert (file.name, json.loads(file.source)["sha256"]) == ("resnet18.safetensors", "ab" * 32)
    assert inputs({"dataset": "digits"}, {}) == []
    ((gone, _),) = inputs({"dataset": "no-longer"}, {"data_version": "1"})
    assert gone.name == "no-longer"
    for name in data.names():  # of every form
        ((found, _),) = inputs({"dataset": name}, {"data_version": version})
        assert found.name == name


@pytest.mark.usefixtures("store")
def test_a_study_has_a_run_of_its_figures_tables_and_verdicts(workplace):
    folder = workplace / "paper_figures/eat"
    folder.mkdir(parents=True)
    for name in ("curve.png", "curve.pdf", "curve.csv", "main.csv", "main.tex"):
        (folder / name).write_text(name)
    claims = {
        "EAT-1": {"verdict": "holds", "statement": "It collapses", "effect": 0.25, "ci": [0.2, 0.3]},
        "EAT-2": {"verdict": "not measured", "statement": "It is better", "effect": None, "ci": None},
    }
    drawn = tracking.Drawn("Robust metric learning", folder, claims)

    def study_runs():
        return query(
            "select r.run_uuid, r.artifact_uri from runs r join tags t on t.run_uuid = r.run_uuid "
            "where t.value = 'study' and t.key = 'gauntlet.kind' and r.lifecycle_stage = 'active'"
        )

    for _ in range(2):
        tracking.track("eat", "mini", [], drawn=drawn)
        ((run, artifacts),) = study_runs()
    tags = tags_of(run)
    assert (tags["verdict.EAT-1"], tags["verdict.EAT-2"]) == ("holds", "not measured")
    assert tags["gauntlet.report"] == "paper_figures/index.html#eat"
    numbers = dict(query("select key, value from metrics where run_uuid = ?", run))
    assert numbers == {"claim/EAT-1/effect": 0.25, "claim/EAT-1/low": 0.2, "claim/EAT-1/high": 0.3}
    found = sorted(str(path.relative_to(artifacts)) for path in Path(artifacts).rglob("*.*"))
    assert found == ["figures/curve.csv", "figures/curve.png", "tables/main.csv"]

    (folder / "curve.png").write_text("drawn again")
    tracking.track("eat", "mini", [], drawn=drawn)
    ((again, artifacts),) = study_runs()
    assert again != run
    assert Path(artifacts, "figures/curve.png").read_text() == "drawn again"


def target(scale: float) -> dict:
    """A trained classifier of two seeds, as a cell that other trials load."""
    import torch

    from gauntlet.families import weights
    from gauntlet.models.classifiers import build

    folder = "results/classifier/digits/lenet/none-1a2b/seeds-0-1"
    spec = cell("none") | {
        "architecture": "lenet",
        "steps": {"train": folder},
        "tables": {"training": f"{folder}/training.parquet"},
        "family": "classifier",
        "weights": f"{folder}/model.safetensors",
        "shapes": [(1, 28, 28), (10,)],
    }
    path = Path(spec["tables"]["training"])
    recorder = Recorder("classifier train", {"any": 1})
    rows = [{"seed": s, "epoch": 0, "member": 0, "loss": scale, "passes": 1.0} for s in (0, 1)]
    write_parquet(path, pd.DataFrame(rows))
    torch.manual_seed(0)
    states = {
        seed: {name: scale * value for name, value in build("lenet", 1, 28, 10).state_dict().items()}
        for seed in (0, 1)
    }
    weights.save(spec["weights"], states)
    recorder.write(path, device="Test CPU")
    return spec


@pytest.mark.usefixtures("store")
def test_reused_weights_are_registered_by_reference_and_load():
    import mlflow
    import numpy as np
    import torch

    from gauntlet.families.classifier import network

    spec = target(1.0)
    assert counts(tracking.track("mega", "mini", [], reused=[spec])) == {"new": 2, "models": 2}
    assert counts(tracking.track("mega", "mini", [], reused=[spec])) == {"kept": 2}
    assert not [path for path in Path("mlruns").rglob("*") if path.suffix in (".pkl", ".safetensors", ".pt")]

    uri = f"sqlite:///{Path('mlflow.db').resolve()}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    model = mlflow.pyfunc.load_model("models:/classifier.digits.lenet.none-1a2b@seed-1")
    assert model.metadata.signature.inputs.inputs[0].shape == (-1, 1, 28, 28)
    images = np.random.default_rng(0).random((3, 1, 28, 28), dtype=np.float32)
    net, _ = network.load(spec["weights"], 1, "lenet", 1, 28, 10)
    assert np.array_equal(model.predict(images), net(torch.from_numpy(images)).numpy())

    spec = target(2.0)  # trained again
    with pytest.raises(GauntletError, match="not the weights that were registered"):
        mlflow.pyfunc.load_model("models:/classifier.digits.lenet.none-1a2b@seed-1")
    assert counts(tracking.track("mega", "mini", [], reused=[spec])) == {"replaced": 2, "models": 2}
    again = mlflow.pyfunc.load_model("models:/classifier.digits.lenet.none-1a2b@seed-1").predict(images)
    assert not np.allclose(again, model.predict(images))


def test_names_are_ones_that_mlflow_accepts():
    from mlflow.utils.validation import _validate_metric_name

    for metric in ("recall@1", "recall@8", "map@r", "nmi", "ami", "f1"):
        _validate_metric_name(trials.metric_name("eps sweep", "joint_pair", "member", "", metric))
    _validate_metric_name(trials.metric_name("transfer", "centre", "0->1", "recall@1"))


def test_only_the_tracker_imports_mlflow():
    package = Path(tracking.__file__).parents[1]
    users = {
        path.name
        for path in package.rglob("*.py")
        if "import mlflow" in (text := path.read_text()) or "from mlflow" in text
    }
    parts = ("ingest", "inputs", "models", "study")
    assert users == {"tracking.py", *(f"mlflow_{part}.py" for part in parts)}
