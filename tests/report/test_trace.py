"""From drawn numbers, claims and scores back to the files of the jobs."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from synthetic import TABLES, write_cell
from typer.testing import CliRunner

from gauntlet.cli import app
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import write_json
from gauntlet.report.gather import gather
from gauntlet.report.provenance.chain import job_commands
from gauntlet.report.provenance.trace import trace

CSV = Path("paper_figures/eat/comparison.csv")


def of_job(method: str, **where) -> dict[int, float]:
    """Seed -> score in the file that the method's own job wrote."""
    rows = pd.read_parquet(f"results/dml/digits/{method}/seeds-0-1/attack-1/scores.parquet")
    for column, value in {"suite": "main", "view": "ensemble", **where}.items():
        rows = rows[rows[column] == value]
    return dict(zip(rows["seed"], rows["value"], strict=True))


def test_a_drawn_row_leads_to_the_numbers_of_its_seeds(repository):
    for index, row in pd.read_csv(CSV).iloc[::3].iterrows():
        chain = trace(f"eat/comparison:{index + 2}")
        (found,) = chain.found
        measured = {entry["seed"]: entry["value"] for entry in found["measured"]}
        assert measured == of_job(row["method"], attack=row["attack"], metric=row["metric"])
        assert [(entry.method, entry.seeds) for entry in chain.trials] == [(row["method"], [0, 1])]


@pytest.mark.parametrize("extension", ["", ".csv", ".pdf", ".png"])
def test_every_file_of_a_figure_means_the_figure(repository, extension):
    chain = trace(f"paper_figures/eat/comparison{extension}")
    assert (chain.kind, chain.folder, chain.notes) == ("figure", "results/studies/eat/mini", [])
    assert len(chain.found) == 12
    assert {entry.method for entry in chain.trials} == {"none", "at"}
    assert {entry.method for entry in trace("eat/comparison", {"method": "at"}).trials} == {"at"}


def test_a_table_is_traced_by_its_labels(repository):
    chain = trace("eat/main", {"method": "AT"})
    assert (chain.kind, [entry.method for entry in chain.trials]) == ("table", ["at"])


def test_a_score_leads_to_its_job_and_the_bytes_that_it_wrote(repository):
    chain = trace("eat", {"method": "at", "seed": "1", "attack": "worst", "metric": "nmi", "suite": "main"})
    (row,) = chain.found
    assert row["value"] == of_job("at", attack="worst", metric="nmi")[1]
    (trials,) = chain.trials
    assert trials.seeds == [1]
    train, attack = trials.jobs
    for job in (train, attack):
        assert job.commit == "0" * 40
        assert job.outputs == {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in Path(job.folder).glob("*.parquet")
        }
    assert set(attack.outputs) == {
        f"{name}.parquet" for name in ("scores", "examples", "projections", "sanity")
    }
    assert train.inputs == {"data/digits/train_images.npy": "1" * 64}
    assert trials.runs == {1: {"name": "at digits/conv seed 1", "trial": "eat/digits/conv/at/1/1"}}


def test_rows_of_other_tables_are_traced(repository):
    chain = trace("eat", {"table": "training", "method": "none", "seed": "0", "epoch": "2"})
    assert [row["passes"] for row in chain.found] == [3.0]
    assert [(entry.method, entry.seeds) for entry in chain.trials] == [("none", [0])]


def test_a_claim_leads_to_both_sides_of_its_comparisons(repository):
    verdict, first, second = trace("eat-1").found
    assert verdict["verdict"] == "holds"
    assert first["effects"] == {
        str(seed): value for seed, value in of_job("none", attack="shift", metric="recall@1").items()
    }
    clean, attacked = (of_job("none", attack=attack, metric="f1") for attack in ("clean", "joint_pair"))
    assert second["effects"] == {str(seed): attacked[seed] - clean[seed] for seed in (0, 1)}
    assert [(entry.method, entry.seeds) for entry in trace("EAT-1").trials] == [("none", [0, 1])]


def test_a_measured_claim_without_a_method_says_so(repository):
    chain = trace("EAT-2")  # no EAT was run
    assert chain.found[0]["verdict"] == "not measured"
    assert chain.trials == []


def test_data_are_those_that_the_jobs_recorded_else_the_registry(repository):
    (data,) = trace("eat/comparison").data
    assert (data.name, data.recorded, data.prepared) == (
        "digits",
        True,
        {"data/digits/train_images.npy": "1" * 64},
    )


def test_the_published_copy_is_traced_where_it_is_named(repository):
    chain = trace("eat", {"method": "at"}, folder="published/eat/mini")
    assert chain.folder == "published/eat/mini"
    assert chain.trials == trace("eat", {"method": "at"}).trials


def test_a_configuration_is_the_plans_only_if_it_names_the_same_folders(repository):
    (trials,) = trace("eat", {"method": "at", "seed": "0", "metric": "nmi"}).trials
    assert trials.config == {"evaluate": trials.config["evaluate"]}  # the sidecar's
    for path in Path("results/dml").rglob("*.provenance.json"):
        path.unlink()
    row = {key: getattr(trials, key) for key in ("dataset", "setting", "architecture", "method", "block")}
    steps = {job.step: job.folder for job in trials.jobs}
    planned = {"identity": {"a": 1}, "evaluate": {"b": 2}}
    for folders, config in ((steps, planned), ({**steps, "train": "results/dml/other"}, {})):
        rows = [{**row, "steps": folders, **planned}]
        chain = trace("eat", {"method": "at", "metric": "nmi"}, rows=lambda study, scale, rows=rows: rows)
        assert chain.trials[0].config == config
        assert any("does not have all" in note for note in chain.notes) == (not config)


def test_needed_weights_are_trained_before_the_job_that_reads_them(repository):
    chain = trace("eat", {"method": "at", "metric": "nmi"})
    (trials,) = chain.trials
    weights = "results/classifier/digits/lenet/none-01234567/seeds-0-1/model.safetensors"
    trials.jobs[1].inputs[weights] = "2" * 64
    trials.jobs[1].inputs["datasets/weights/resnet.safetensors"] = "3" * 64
    fetch, own, needed, pretrained, attack = job_commands([trials], "config/mini.yaml")
    assert fetch == "gauntlet data fetch digits"
    assert own.split()[2] == "train"
    assert needed == (
        "gauntlet classifier train --config config/mini.yaml"
        " --cell classifier/digits/lenet/none-01234567/seeds-0-1"
    )
    assert pretrained == "gauntlet models fetch conv"
    assert attack.endswith("--attack attack-1")


def test_what_was_drawn_from_other_measurements_is_said(repository):
    cells = [
        write_cell(Path("results/dml"), "digits", method, range(2)) for method in ("none", "at", "mixup")
    ]
    gather(cells, "results/studies/eat/mini", "eat", "mini", tables=TABLES)
    assert any("other measurements" in note for note in trace("eat/comparison").notes)


@pytest.mark.parametrize(
    ("target", "where", "words"),
    [
        ("eat/comparisn", {}, "did you mean eat/comparison"),
        ("EAT-11", {}, "did you mean EAT-1"),
        ("eat/budget", {}, "not drawn yet"),
        ("eat/comparison:1", {}, "lines 2 to 13"),
        ("eat/comparison:14", {}, "lines 2 to 13"),
        ("EAT-1:3", {}, "no lines"),
        ("eat/comparison", {"metod": "at"}, "did you mean 'method'"),
        ("eat/comparison", {"method": "att"}, "there are method=at"),
        ("eat", {"table": "score"}, "did you mean 'scores'"),
        ("eat", {"method": "at", "seed": "7"}, "seed=0, seed=1"),
        ("rdml", {}, "no measurements of rdml"),
    ],
)
def test_what_is_not_there_is_named_with_what_is_near(repository, target, where, words):
    with pytest.raises(GauntletError, match=words):
        trace(target, where)


def test_the_command_prints_hashes_commits_and_commands_and_all_of_it_as_json(repository):
    chain = trace("eat/comparison", {"method": "at"})
    plain = CliRunner().invoke(app, ["trace", "eat/comparison", "method=at"]).output
    scores = Path("results/dml/digits/at/seeds-0-1/attack-1/scores.parquet")
    assert hashlib.sha256(scores.read_bytes()).hexdigest()[:16] in plain
    assert "0" * 40 in plain
    assert "torch 2.11.0" in plain
    assert all(command in plain for command in chain.commands)
    assert "snakemake --cores all --configfile config/mini.yaml -- paper_figures/eat/comparison.pdf" in plain
    assert "MLflow" not in plain
    runs = {"eat/digits/conv/at/1/1": "0123abcd"}
    write_json("results/tracking/mini.json", {"eat": {"runs": runs}})
    (line,) = (
        line
        for line in CliRunner().invoke(app, ["trace", "eat/comparison", "method=at"]).output.splitlines()
        if "MLflow" in line
    )
    assert "run 0123abcd (at digits/conv seed 1)" in line
    printed = CliRunner().invoke(app, ["trace", "eat/comparison", "method=at", "--json"]).output
    assert json.loads(printed) == json.loads(json.dumps(asdict(chain)))


def test_a_selection_without_a_value_is_refused(repository):
    result = CliRunner().invoke(app, ["trace", "eat", "at"])
    assert isinstance(result.exception, GauntletError)
    assert "COLUMN=VALUE" in str(result.exception)
