import io

import pandas as pd
import pytest
from synthetic import EAT, build

from gauntlet.report import tables
from gauntlet.report.claims.statistics import t_interval
from gauntlet.report.measurements import read
from gauntlet.report.study import load
from gauntlet.report.tables import render

STUDY = load(EAT)


@pytest.fixture(scope="module")
def main_table(gathered):
    return tables.make(STUDY, "main", read(gathered))


def test_main_table_numbers(main_table, gathered):
    frame = pd.read_csv(io.StringIO(render.csv(main_table)))
    scores = pd.read_parquet(gathered / "scores.parquet").query(
        "dataset == 'digits' and method == 'eat' and suite == 'main' and view == 'ensemble'"
    )
    row = frame[(frame["block"] == "digits, conv net") & (frame["method"] == "EAT")].iloc[0]
    for attack, group in (("clean", "clean"), ("joint_pair", "joint pair"), ("worst", "worst attack")):
        for metric, name in (("recall@1", "R@1"), ("nmi", "NMI"), ("f1", "F1")):
            values = scores[(scores["attack"] == attack) & (scores["metric"] == metric)]["value"].tolist()
            interval = t_interval(values)
            assert row[f"{group} {name}"] == pytest.approx(interval.mean)
            assert row[f"{group} {name} ±"] == pytest.approx(interval.half_width)
            assert row[f"{group} {name} seeds"] == 5
    assert row["training passes per image"] == 3 * 6 * 3
    assert len(frame) == 2 * 9


def test_columns_run_from_clean_to_worst(main_table):
    assert [group for group, _ in main_table.groups()] == [
        "clean",
        "shift",
        "centre",
        "joint pair",
        "worst attack",
        "training",
    ]


def test_markdown_and_latex_hold_the_same_cells(main_table):
    cell = main_table.blocks["digits, conv net"][0].cells[0]
    assert cell.text(3) in render.markdown(main_table)
    tex = render.latex(main_table)
    assert cell.text(3, " $\\pm$ ") in tex
    rows = [line for line in tex.splitlines() if line.endswith("\\\\") and "multicolumn" not in line]
    assert {line.count("&") for line in rows} == {len(main_table.columns)}
    assert "AT $\\times$ 3" in tex
    assert tex.count("{") == tex.count("}")
    assert "Mini scale: not the paper's numbers" in tex
    assert "Mini scale: not the paper's numbers" in render.markdown(main_table)


def test_markdown_rows_are_as_wide_as_the_head(main_table):
    lines = [line for line in render.markdown(main_table).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {len(main_table.columns) + 2}


def test_ablation_has_ensemble_and_mean_member(gathered):
    table = tables.make(STUDY, "ablation", read(gathered))
    labels = [row.keys[0] for row in table.blocks["digits, conv net"]]
    assert "EAT" in labels
    assert "EAT, mean member" in labels
    assert "AT" in labels
    assert "AT, mean member" not in labels


def test_holes_are_dashes_and_an_empty_table_says_so(tmp_path):
    def edit(scores, method, dataset):
        return scores[scores["attack"] != "centre"] if method == "eat" else scores

    folder = build(tmp_path, methods=("none", "eat"), datasets=("digits",), seeds=1, edit=edit)
    table = tables.make(STUDY, "main", read(folder))
    assert render.EMPTY in render.markdown(table)
    assert "±" not in render.markdown(table).split("| --- |")[1]  # one seed: no interval
    empty = build(
        tmp_path / "b", methods=("none",), datasets=("digits",), seeds=1, edit=lambda s, m, d: s.iloc[:0]
    )
    assert "Nothing was measured" in render.markdown(tables.make(STUDY, "main", read(empty)))


def test_settings_are_blocks_of_their_own(tmp_path):
    folder = build(
        tmp_path, methods=("none", "eat"), datasets=("digits",), settings=("iid", "skewed"), seeds=2
    )
    study = STUDY.model_copy(
        update={"settings": {"iid": "the same classes"}, "metrics": {"nmi": "information"}}
    )
    table = tables.make(study, "main", read(folder))
    assert list(table.blocks) == ["digits, the same classes, conv net", "digits, skewed, conv net"]
    assert ("clean", "information") in table.columns


def test_files(gathered, tmp_path):
    written = tables.write(EAT, "main", gathered, tmp_path / "eat/main")
    assert [path.name for path in written] == ["main.csv", "main.md", "main.tex"]
    again = tables.write(EAT, "main", gathered, tmp_path / "again/main")
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in again]
