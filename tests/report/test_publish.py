"""Publishing: copies that are checked, and runs that add to each other."""

import pandas as pd
import pytest
from synthetic import TABLES, write_cell

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_sealed, sha256_file, write_parquet, write_sealed
from gauntlet.report import derived
from gauntlet.report import publish as publishing
from gauntlet.report.gather import gather
from gauntlet.report.measurements import read
from gauntlet.report.publish import publish
from gauntlet.report.vocabulary import CELL

FILES = [f"{name}.parquet" for name in TABLES]


@pytest.fixture
def run(tmp_path):
    """Gathers a run of some methods, one block of seeds: ``run("none", "at", start=5, count=2)``."""

    def gathered(*methods, start=0, count=2, setting="", missing=(), declared=None, jobs="jobs"):
        seeds = range(start, start + count)
        cells = [write_cell(tmp_path / jobs, "digits", method, seeds, setting=setting) for method in methods]
        out = tmp_path / f"out-{start}-{setting}"
        return gather(cells, out, "eat", "mini", list(missing), tables=TABLES, derived=declared)

    return gathered


@pytest.fixture
def target(tmp_path):
    return tmp_path / "published/eat/mini"


def trials(folder, **where) -> set:
    scores = read(folder).scores
    for column, value in where.items():
        scores = scores[scores[column] == value]
    return set(scores[["method", "seed"]].drop_duplicates().itertuples(index=False, name=None))


def test_publish_copies_and_checks(run, target):
    out = run("none", "eat", "at")
    written = publish(out, target)
    assert sorted(path.name for path in written) == sorted([*FILES, "manifest.json"])
    assert read(target).manifest == read(out).manifest
    (out / "scores.parquet").write_bytes(b"")
    with pytest.raises(GauntletError, match=r"scores\.parquet"):
        publish(out, target)


@pytest.mark.parametrize("add", [False, True])
def test_tables_that_are_left_out_are_in_no_part(run, target, add):
    publish(run("none"), target)
    written = publish(run("at", start=2), target, add=add, without=["examples"])
    assert "examples.parquet" not in {path.name for path in written}
    assert "examples" not in read(target).manifest["tables"]
    assert trials(target) == ({("none", 0), ("none", 1)} if add else set()) | {("at", 2), ("at", 3)}
    with pytest.raises(GauntletError, match="'exampels'"):
        publish(run("at", start=2), target, without=["exampels"])


def test_publish_counts_all_scales_of_a_study(run, target, monkeypatch):
    out = run("none", "eat", "at")
    size = sum(path.stat().st_size for path in out.iterdir())
    monkeypatch.setattr(publishing, "LIMIT", int(1.5 * size))
    publish(out, target)
    publish(out, target)  # replacing it counts once
    desk = target.with_name("desk")
    for add in (False, True):
        with pytest.raises(GauntletError, match="MB"):
            publish(out, desk, add=add)
    assert not desk.exists()


def test_seeds_add_up_over_runs(run, target):
    publish(run("none", "at"), target, add=True)  # nothing is there yet
    publish(run("none", "at", start=2, count=3), target, add=True)
    assert trials(target) == {(method, seed) for method in ("none", "at") for seed in range(5)}
    together = read(target)
    assert [cell["block"] for cell in together.manifest["cells"]] == ["0-1", "2-4", "0-1", "2-4"]
    for name in TABLES:
        parts = [getattr(read(run("none", "at", start=s, count=n)), name) for s, n in ((0, 2), (2, 3))]
        keys = [*CELL, "seed"]
        expected = pd.concat(parts).value_counts(keys).sort_index()
        pd.testing.assert_series_equal(getattr(together, name).value_counts(keys).sort_index(), expected)


def test_the_bytes_are_those_of_one_run_with_all_cells(run, target, tmp_path):
    publish(run("none", "at"), target)
    publish(run("none", "at", start=2, count=3), target, add=True)
    cells = [
        write_cell(tmp_path / "jobs", "digits", method, seeds)
        for method in ("none", "at")
        for seeds in (range(2), range(2, 5))
    ]
    whole = gather(cells, tmp_path / "whole", "eat", "mini", tables=TABLES)
    for name in FILES:
        assert (target / name).read_bytes() == (whole / name).read_bytes()
    assert read(target).manifest == read(whole).manifest


def test_cells_of_this_run_replace_and_others_stay(run, target):
    publish(run("none", "at"), target)
    again = run("at", jobs="again")
    publish(again, target, add=True)
    assert trials(target) == {(method, seed) for method in ("none", "at") for seed in (0, 1)}
    folders = {cell["method"]: cell["train"]["folder"] for cell in read(target).manifest["cells"]}
    assert "again" in folders["at"]
    assert "again" not in folders["none"]
    publish(run("none", setting="iid"), target, add=True)
    assert trials(target, setting="iid") == {("none", 0), ("none", 1)}
    assert len(trials(target, setting="")) == 4


def test_environments_are_those_of_each_cell(run, target):
    out = run("none")
    manifest = read_sealed(out / "manifest.json")
    manifest["environments"] = [{"python": "3.12"}]
    write_sealed(out / "manifest.json", manifest)
    publish(out, target)
    publish(run("at"), target, add=True)
    both = read(target).manifest
    used = {
        cell["method"]: both["environments"][cell["train"]["environment"]]["python"] for cell in both["cells"]
    }
    assert used == {"none": "3.12", "at": "3.11.2"}


def test_holes_are_those_that_no_run_has_filled(run, target):
    def hole(method, block):
        return {"dataset": "digits", "architecture": "conv", "method": method, "block": block, "log": "l"}

    publish(run("none", missing=[hole("at", "0-1"), hole("eat", "0-1")]), target)
    # This run does not have what is published already, and has one of the two that failed there.
    publish(run("at", missing=[hole("none", "0-1"), hole("trades", "0-1")]), target, add=True)
    assert [entry["method"] for entry in read(target).missing] == ["eat", "trades"]


def test_derived_scores_are_of_all_cells(run, target, monkeypatch):
    def share(tables):
        last = tables["training"].groupby([*CELL, "seed"], as_index=False)["passes"].max()
        return last.assign(metric="share", value=last["passes"] / last["passes"].sum())

    monkeypatch.setattr(derived, "resolve", lambda kind, name: share)
    monkeypatch.setattr(derived, "module_path", lambda kind, name: name)
    declared = {"share": derived.DerivedEntry(derived="share")}
    publish(run("none", declared=declared), target)
    publish(run("none", start=2, declared=declared), target, add=True, derived=declared)
    scores = read(target).scores
    assert scores.loc[scores["metric"] == "share", "value"].tolist() == [0.25] * 4
    assert read(target).manifest["derived"] == ["share"]


def test_seeds_in_two_blocks_are_refused(run, target):
    publish(run("none", "at"), target)
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    with pytest.raises(
        GauntletError, match=r"published/eat/mini: seeds 1 of digits, conv, none .* block 0-1"
    ):
        publish(run("none", start=1, count=3), target, add=True)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before


def test_seeds_of_other_settings_are_refused(run, target):
    out = run("at")
    manifest = read_sealed(out / "manifest.json")
    manifest["cells"][0]["train"]["folder"] = "results/dml/digits/conv/at-0000/seeds-0-1"
    write_sealed(out / "manifest.json", manifest)
    publish(out, target)
    with pytest.raises(GauntletError, match="other settings"):
        publish(run("at", start=2), target, add=True)


def test_what_was_published_before_there_were_settings_can_be_added_to(run, target):
    out = run("at")
    manifest = read_sealed(out / "manifest.json")
    for name in TABLES:
        write_parquet(
            out / f"{name}.parquet", pd.read_parquet(out / f"{name}.parquet").drop(columns="setting")
        )
        manifest["tables"][name]["sha256"] = sha256_file(out / f"{name}.parquet")
    del manifest["cells"][0]["setting"], manifest["derived"]
    write_sealed(out / "manifest.json", manifest)
    publish(out, target)
    publish(run("at", start=2), target, add=True)
    assert trials(target, setting="") == {("at", seed) for seed in range(4)}
