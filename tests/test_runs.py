"""A study's outputs travel through DVC. Real remotes: tests/remotes; Snakemake's view: tests/workflow."""

import json
import os
from pathlib import Path

import pytest

from clones import ROOT, connect, repository
from gauntlet import runs
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256_file, write_json
from gauntlet.plan import load_plan

STUDY = "mega"  # its cells need the weights of another family's


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A function: go to a clone of this name, which has the remote."""

    def enter(name):
        folder = tmp_path / name
        if not folder.exists():
            folder.mkdir()
            (folder / "config").symlink_to(ROOT / "config")
            connect(repository(folder), tmp_path / "store")
        monkeypatch.chdir(folder)
        return load_plan("config/smoke.yaml")

    return enter


def make(path, content):
    """An output with the part of its provenance file that counts, and Snakemake's record of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    write_json(runs.sidecar_path(path), {"sha256": sha256_file(path), "payload": path.name})
    write_json(runs._record(path), {"rule": "some", "params": [content]})


def outputs(plan):
    """Weights of a cell, of the target that it needs, and a table of the first."""
    cell = next(iter(plan.part(STUDY).cells)).cell
    (target,) = cell.needs("train").values()
    return [target.weights, cell.weights, next(iter(cell.measured().values()))]


def files(root="results"):
    return {str(path): path.read_bytes() for path in sorted(Path(root).rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_outputs_arrive_with_their_provenance_and_snakemakes_records(clone):
    plan = clone("author")
    for number, path in enumerate(outputs(plan)):
        make(path, f"content {number}")
    Path("results/stray").write_text("no output of the study")
    pin, count = runs.push(plan, STUDY)
    assert (str(pin), count) == (f"runs/{STUDY}/smoke.dvc", 3)
    assert not Path(f"runs/{STUDY}/smoke").exists()
    Path("results/stray").unlink()
    ours, records, pinned = files(), files(".snakemake"), pin.read_text()

    plan = clone("user")
    pin.parent.mkdir(parents=True)
    pin.write_text(pinned)
    target, weights, table = outputs(plan)
    make(weights, "the user's own")
    kept = files()
    assert runs.pull(plan, STUDY) == 2
    assert files() == ours | kept
    assert files(".snakemake").keys() == records.keys()
    assert json.loads(runs._record(table).read_text())["params"] == ["content 2"]
    assert json.loads(runs._record(weights).read_text())["params"] == ["the user's own"]
    assert os.stat(weights).st_mtime_ns < os.stat(target).st_mtime_ns == os.stat(table).st_mtime_ns
    assert runs.pull(plan, STUDY) == 0


@pytest.mark.slow
def test_an_altered_object_is_not_brought(clone, tmp_path):
    plan = clone("author")
    made = outputs(plan)
    for number, path in enumerate(made):
        make(path, f"content {number}")
    pin, _ = runs.push(plan, STUDY)
    pinned = pin.read_text()
    (spoilt,) = (
        path
        for path in (tmp_path / "store").rglob("*")
        if path.is_file() and path.read_bytes() == b"content 1"
    )
    spoilt.chmod(0o644)
    spoilt.write_text("content X")
    plan = clone("user")
    pin.parent.mkdir(parents=True)
    pin.write_text(pinned)
    with pytest.raises(GauntletError, match="this output is altered") as caught:
        runs.pull(plan, STUDY)
    assert caught.value.file.name == made[1].name
    assert not Path("results").exists()
    assert not Path(f"runs/{STUDY}/smoke").exists()


def test_nothing_to_push_and_nothing_to_pull(clone):
    plan = clone("author")
    with pytest.raises(GauntletError, match="no results of mega") as caught:
        runs.push(plan, STUDY)
    assert caught.value.remedy == "snakemake --config study=mega"
    with pytest.raises(GauntletError, match="no such pin") as caught:
        runs.pull(plan, STUDY)
    assert str(caught.value.file) == "runs/mega/smoke.dvc"


def test_an_altered_output_is_not_pushed(clone, tmp_path):
    plan = clone("author")
    weights = outputs(plan)[1]
    make(weights, "content")
    weights.write_text("contend")
    with pytest.raises(GauntletError, match="this output is altered") as caught:
        runs.push(plan, STUDY)
    assert caught.value.file == weights
    assert not (tmp_path / "store").exists()
    assert not Path("runs").exists()
