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
    assert len(frame) == 3 * 9  # two datasets, and their means


def test_means_over_datasets_are_paired_by_seed_and_of_methods_that_all_have(tmp_path, main_table):
    def without(method, dataset):
        return method == "mixup" and dataset == "digits"

    folder = build(tmp_path, methods=("none", "mixup", "eat"), skip=without)
    table = tables.make(STUDY, "main", read(folder))
    rows = {row.keys[0]: row.cells for row in table.blocks["all datasets, conv net"]}
    assert list(rows) == ["No defense", "EAT"]
    scores = pd.read_parquet(folder / "scores.parquet").query(
        "method == 'eat' and suite == 'main' and view == 'ensemble' and attack == 'clean'"
        " and metric == 'recall@1'"
    )
    first, second = (part.sort_values("seed")["value"].to_numpy() for _, part in scores.groupby("dataset"))
    interval = t_interval(((first + second) / 2).tolist())
    assert (rows["EAT"][0].mean, rows["EAT"][0].half_width) == pytest.approx(
        (interval.mean, interval.half_width)
    )
    assert "Fashion-MNIST" in table.notes["all datasets, conv net"]
    assert rows["EAT"][-1] is None  # what training costs is no mean over datasets
    one = build(tmp_path / "one", methods=("none", "eat"), datasets=("digits",), seeds=2)
    assert list(tables.make(STUDY, "main", read(one)).blocks) == ["digits, conv net"]


def test_transfer_and_gradients_of_the_members(gathered):
    table = tables.make(STUDY, "diversity", read(gathered))
    rows = {row.keys[0]: row.cells for row in table.blocks["digits, conv net"]}
    ensembles = ("eat", "eat_no_split", "eat_own", "at_x3", "none_x3")
    assert set(rows) == {STUDY.label(method) for method in ensembles}
    scores = pd.read_parquet(gathered / "scores.parquet").query(
        "dataset == 'digits' and method == 'eat' and suite == 'transfer'"
    )
    wide = scores.pivot(index="seed", columns="detail", values="value")
    own = wide[["0->0", "1->1", "2->2"]].mean(axis=1)
    others = wide[["0->1", "0->2", "1->0", "1->2", "2->0", "2->1"]].mean(axis=1)
    expected = [t_interval(list(v)) for v in (own, others, others - own, wide[""])]
    assert [cell.mean for cell in rows["EAT"]] == pytest.approx([each.mean for each in expected])
    assert [cell.half_width for cell in rows["EAT"]] == pytest.approx([each.half_width for each in expected])


def test_costs_are_those_of_the_sidecars(gathered):
    table = tables.make(STUDY, "cost", read(gathered))
    (row,) = [row for row in table.blocks["digits, conv net"] if row.keys == ("EAT",)]
    assert row.cells[0].mean == 3 * 6 * 3
    assert row.cells[1].mean == pytest.approx(3 + 0.2)  # 3.0 to 3.4 seconds
    assert table.columns == (("measured", "passes per training image"), ("measured", "seconds per epoch"))


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
    parts = tex.split("\\medskip")
    assert len(parts) == len(main_table.parts())
    for text, part in zip(parts, main_table.parts(), strict=True):
        rows = [line for line in text.splitlines() if line.endswith("\\\\") and "multicolumn" not in line]
        assert {line.count("&") for line in rows} == {len(part.columns)}
    assert "AT $\\times$ 3" in tex
    assert tex.count("{") == tex.count("}")
    assert "Mini scale: not the paper's numbers" in tex
    assert "Mini scale: not the paper's numbers" in render.markdown(main_table)


def test_markdown_rows_are_as_wide_as_the_head(main_table):
    for text in render.markdown(main_table).split("**\n")[1:]:
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) == 1


def test_parts_leave_out_what_a_block_lacks_and_lose_nothing(main_table):
    def numbers(table):
        return [
            (block, row.keys, column, cell)
            for block, rows in table.blocks.items()
            for row in rows
            for column, cell in zip(table.columns, row.cells, strict=True)
            if cell
        ]

    parts = main_table.parts()
    assert [number for part in parts for number in numbers(part)] == numbers(main_table)
    assert len(parts) > 1  # means over datasets have no training
    for part in parts:
        for rows in part.blocks.values():
            assert all(any(row.cells[at] for row in rows) for at in range(len(part.columns)))


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
