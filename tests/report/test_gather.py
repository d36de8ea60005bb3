import json

import pandas as pd
import pytest
from synthetic import TABLES, write_cell

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_sealed, sha256_file, write_parquet
from gauntlet.core.provenance import Recorder
from gauntlet.core.tables.every import COLUMNS
from gauntlet.report.gather import gather
from gauntlet.report.measurements import read
from gauntlet.report.vocabulary import CELL

FILES = [f"{name}.parquet" for name in TABLES]


@pytest.fixture
def cells(tmp_path):
    return [write_cell(tmp_path / "jobs", "digits", method, range(2)) for method in ("none", "eat", "at")]


def test_every_row_arrives_with_its_cell(cells, tmp_path):
    measured = read(gather(cells, tmp_path / "out", "eat", "mini", tables=TABLES))
    for name in TABLES:
        table = getattr(measured, name)
        assert list(table.columns) == [*CELL, *COLUMNS[name]]
        parts = [pd.read_parquet(cell["tables"][name]) for cell in cells]
        assert len(table) == sum(map(len, parts)) == measured.manifest["tables"][name]["rows"]
    assert set(measured.scores["method"]) == {"none", "eat", "at"}
    assert (measured.study, measured.scale, measured.missing) == ("eat", "mini", [])


def test_a_study_without_a_table_reads_it_without_rows(cells, tmp_path):
    measured = read(gather(cells, tmp_path / "out", "eat", "mini", tables=["scores", "training"]))
    assert set(measured.manifest["tables"]) == {"scores", "training"}
    assert len(measured.sanity) == len(measured.rounds) == 0
    assert list(measured.rounds.columns) == [*CELL, *COLUMNS["rounds"]]


def test_what_was_gathered_before_there_were_settings_has_none(tmp_path):
    hole = {"dataset": "digits", "architecture": "conv", "method": "at", "block": "0-1"}
    cell = write_cell(tmp_path / "jobs", "digits", "none", range(2))
    out = gather([cell], tmp_path / "out", "eat", "mini", [hole], tables=TABLES)
    manifest = read_sealed(out / "manifest.json")
    for name in TABLES:
        write_parquet(
            out / f"{name}.parquet", pd.read_parquet(out / f"{name}.parquet").drop(columns="setting")
        )
        manifest["tables"][name]["sha256"] = sha256_file(out / f"{name}.parquet")
    del manifest["cells"][0]["setting"]
    (out / "manifest.json").write_text(json.dumps(manifest))
    old = read(out)
    assert list(old.scores.columns[:4]) == CELL
    assert old.blocks == [("digits", "", "conv")]
    assert [row["setting"] for row in (*old.manifest["cells"], *old.missing)] == ["", ""]


def test_bytes_do_not_depend_on_the_order_of_the_cells(cells, tmp_path):
    first = gather(cells, tmp_path / "first", "eat", "mini", tables=TABLES)
    second = gather(cells[::-1], tmp_path / "second", "eat", "mini", tables=TABLES)
    for name in [*FILES, "manifest.json"]:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_manifest_has_provenance_but_not_the_host(cells, tmp_path):
    out = gather(
        cells,
        tmp_path / "out",
        "eat",
        "mini",
        [{"dataset": "digits", "architecture": "conv", "method": "x"}],
        tables=TABLES,
    )
    text = (out / "manifest.json").read_text()
    manifest = json.loads(text)
    assert "secret-host" not in text
    assert manifest["cells"][0]["train"]["commit"] == "0" * 40
    assert manifest["cells"][0]["attack"]["seconds"] == 12.5
    assert manifest["environments"] == [
        {"python": "3.11.2", "platform": "Linux", "libraries": {"torch": "2.11.0"}}
    ]
    assert read(out).missing[0]["method"] == "x"


def test_cells_without_projections_keep_the_columns(tmp_path):
    cell = write_cell(tmp_path / "jobs", "digits", "none", range(5, 7))
    table = read(gather([cell], tmp_path / "out", "eat", "mini", tables=TABLES)).projections
    assert len(table) == 0
    assert list(table.columns) == [*CELL, *COLUMNS["projections"]]


@pytest.mark.parametrize("name", FILES)
def test_an_edited_table_is_named(cells, tmp_path, name):
    out = gather(cells, tmp_path / "out", "eat", "mini", tables=TABLES)
    table = pd.read_parquet(out / name)
    column = {
        "scores": "value",
        "examples": "label",
        "projections": "x",
        "sanity": "value",
        "training": "loss",
        "spread": "distance",
    }
    table.loc[0, column[name.removesuffix(".parquet")]] += 1
    write_parquet(out / name, table)
    with pytest.raises(GauntletError, match=name):
        read(out)


def test_a_lost_table_is_named(cells, tmp_path):
    out = gather(cells, tmp_path / "out", "eat", "mini", tables=TABLES)
    (out / "sanity.parquet").unlink()
    with pytest.raises(GauntletError, match=r"sanity\.parquet.*missing"):
        read(out)


def test_a_job_file_altered_after_its_job_is_named_and_nothing_is_written(cells, tmp_path):
    path = tmp_path / "jobs/digits/eat/seeds-0-1/attack-1/scores.parquet"
    write_parquet(path, pd.read_parquet(path).assign(value=1.0))
    with pytest.raises(GauntletError, match=r"eat/.*scores\.parquet.*hash"):
        gather(cells, tmp_path / "out", "eat", "mini", tables=TABLES)
    assert not (tmp_path / "out").exists()


def test_the_same_seed_twice_is_refused(cells, tmp_path):
    double = {**cells[0], "block": "other"}
    with pytest.raises(GauntletError, match="measure the same thing"):
        gather([*cells, double], tmp_path / "out", "eat", "mini", tables=TABLES)


def test_what_needed_trainings_took_is_kept(cells, tmp_path):
    weights = tmp_path / "shadows/model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    Recorder("shadows train", {}).write(weights, device="a device")
    cells[0]["needed"] = {"shadows": str(weights), "target": str(tmp_path / "gone/model.safetensors")}
    manifest = read(gather(cells, tmp_path / "out", "eat", "mini", tables=TABLES)).manifest
    (needed,) = [cell["needed"] for cell in manifest["cells"] if "needed" in cell]
    assert set(needed) == {"shadows"}
    sidecar = json.loads((tmp_path / "shadows/model.safetensors.provenance.json").read_text())
    assert needed["shadows"]["folder"] == weights.parent.as_posix()
    assert {key: needed["shadows"][key] for key in ("device", "seconds", "started")} == {
        key: sidecar[key] for key in ("device", "seconds", "started")
    }


def test_a_run_that_has_not_come_to_gathering_says_so(tmp_path):
    with pytest.raises(GauntletError, match="the run of this study has not finished") as caught:
        read(tmp_path / "results/studies/eat/mini")
    assert "source=published" in caught.value.remedy
