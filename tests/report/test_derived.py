"""Scores that are computed from gathered tables, with toy functions in place of registered ones."""

import pandas as pd
import pytest
from synthetic import EAT, TABLES, write_cell

from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.core.tables.every import COLUMNS
from gauntlet.report import derived, frames
from gauntlet.report.gather import gather
from gauntlet.report.measurements import read
from gauntlet.report.study import Study, load
from gauntlet.report.vocabulary import CELL

KEY = [*CELL, "seed"]


def final_loss(tables, *, factor: float = 1.0):
    last = tables["training"].sort_values("epoch").groupby(KEY, as_index=False).last()
    return last.assign(metric="final_loss", value=factor * last["loss"])


def above_mean(tables):
    """Uses the rows of the function before it."""
    rows = tables["scores"]
    rows = rows[rows["metric"] == "final_loss"]
    return rows.assign(metric="above_mean", value=rows["value"] - rows["value"].mean())


def measured_already(tables):
    return final_loss(tables).assign(metric="nmi")


def twice(tables):
    return pd.concat([final_loss(tables)] * 2)


def no_value(tables):
    return final_loss(tables).drop(columns="value")


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setattr(derived, "resolve", lambda kind, name: globals()[name])
    monkeypatch.setattr(derived, "module_path", lambda kind, name: f"{kind}/{name}.py")


@pytest.fixture
def gathered(tmp_path):
    """Gathers two cells with the derived scores that are declared: ``gathered({"name": {...}})``."""
    cells = [write_cell(tmp_path / "jobs", "digits", method, range(2)) for method in ("none", "eat")]

    def run(declared: dict, order=1):
        study = parse(Study, {**load(EAT).model_dump(by_alias=True), "derived": declared}, file="eat.yaml")
        out = tmp_path / "out"
        return gather(cells[::order], out, "eat", "mini", tables=TABLES, derived=study.derived)

    return run


TWO = {"loss": {"derived": "final_loss", "options": {"factor": 2.0}}, "mean": {"derived": "above_mean"}}


def test_their_rows_are_scores(gathered):
    measured = read(gathered(TWO))
    rows = measured.scores[measured.scores["metric"] == "final_loss"]
    assert list(rows.columns) == [*CELL, *COLUMNS["scores"]]
    assert sorted(zip(rows["method"], rows["seed"], strict=True)) == [
        (method, seed) for method in ("eat", "none") for seed in (0, 1)
    ]
    assert rows["value"].tolist() == [2.0 * 2.0 / 3] * 4
    for column, value in frames.CLEAN.items():
        assert set(rows[column]) == {value}
    assert (measured.scores["metric"] == "above_mean").sum() == 4  # it saw the rows of the first
    assert measured.manifest["derived"] == ["above_mean", "final_loss"]
    assert (measured.scores["metric"] == "nmi").any()  # what jobs measured is still there


def test_bytes_do_not_depend_on_the_order_of_the_cells(gathered):
    first = (gathered(TWO) / "scores.parquet").read_bytes()
    assert (gathered(TWO, order=-1) / "scores.parquet").read_bytes() == first
    assert (gathered({}) / "scores.parquet").read_bytes() != first


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("measured_already", "derived/measured_already.py: derived.x: jobs measure nmi"),
        ("twice", "measure the same thing"),
        ("no_value", "derived/no_value.py: derived.x: the derived table lacks value"),
    ],
)
def test_what_is_no_score_is_refused(gathered, function, says):
    with pytest.raises(GauntletError) as caught:
        gathered({"x": {"derived": function}})
    assert says in str(caught.value)


def test_a_family_that_measures_no_scores_has_derived_ones_alone(tmp_path):
    cell = write_cell(tmp_path / "jobs", "digits", "none", range(2))
    cell["steps"].pop("attack")
    cell["tables"] = {"training": cell["tables"]["training"]}
    entry = derived.DerivedEntry(derived="final_loss")
    out = gather(
        [cell], tmp_path / "out", "x", "mini", tables=["scores", "training"], derived={"loss": entry}
    )
    measured = read(out)
    assert sorted(path.name for path in out.iterdir()) == [
        "manifest.json",
        "scores.parquet",
        "training.parquet",
    ]
    assert set(measured.scores["metric"]) == {"final_loss"}
    assert "attack" not in measured.manifest["cells"][0]
    nothing = gather(
        [], tmp_path / "none", "x", "mini", tables=["scores", "training"], derived={"loss": entry}
    )
    assert len(read(nothing).scores) == 0


def test_an_unknown_function_names_the_study(tmp_path):
    file = tmp_path / "eat.yaml"
    file.write_text(EAT.read_text() + "\nderived:\n  x: {derived: nothing_of_this_name}\n")
    with pytest.raises(GauntletError, match=r"eat\.yaml: derived\.x\.derived: unknown derived"):
        load(file)
