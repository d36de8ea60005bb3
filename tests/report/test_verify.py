"""Every edit of a recorded file is found and named, and never reaches a verdict."""

from pathlib import Path

import pandas as pd
import pytest
from synthetic import TABLES, write_cell
from typer.testing import CliRunner

from gauntlet.cli import app
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import write_parquet
from gauntlet.report.claims.judge import judge_study
from gauntlet.report.gather import gather
from gauntlet.report.provenance.verify import verify

EAT = "config/studies/eat.yaml"
GATHERED = "results/studies/eat/mini"
JOB = "results/dml/digits/at/seeds-0-1/attack-1"


def raise_scores(path: Path) -> None:
    table = pd.read_parquet(path)
    write_parquet(path, table.assign(value=table["value"] + 0.1))


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def retime(path: Path) -> None:
    text = path.read_text()
    assert "12.5" in text
    path.write_text(text.replace("12.5", "1.5"))


def test_a_finished_run_is_as_recorded(repository):
    checked = verify()
    assert (checked.altered, checked.missing, checked.uncovered) == ([], [], [])
    # Two cells with six tables, six gathered and published tables with a manifest that drawn files read,
    # a figure and a table in three forms, and the claims.
    assert checked.hashed == 2 * 6 + 2 * 6 + 1 + 2 * 3 + 1
    assert checked.elsewhere == 1  # the images that the jobs read


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        (f"{JOB}/scores.parquet", raise_scores),
        (f"{JOB}/scores.parquet.provenance.json", retime),
        (f"{GATHERED}/scores.parquet", raise_scores),
        (f"{GATHERED}/manifest.json", retime),
        ("published/eat/mini/scores.parquet", raise_scores),
        ("published/eat/mini/manifest.json", retime),
        ("paper_figures/eat/comparison.csv", append),
        ("paper_figures/eat/comparison.pdf", append),
        ("paper_figures/eat/main.tex", append),
        ("paper_figures/claims.json", append),
    ],
)
def test_an_edited_file_is_named(repository, file, edit):
    edit(Path(file))
    result = CliRunner().invoke(app, ["verify"])
    assert result.exit_code == 1
    assert f"altered    {file}: " in result.output
    assert verify([str(Path(file).parent)]).altered
    assert verify([str(Path(file).parent.absolute())]).altered
    assert verify(["config"]).well


@pytest.mark.parametrize("name", ["scores.parquet", "manifest.json"])
@pytest.mark.parametrize("folder", [GATHERED, "published/eat/mini"])
def test_an_edited_measurement_reaches_no_verdict(repository, folder, name):
    path = Path(folder, name)
    (retime if name == "manifest.json" else raise_scores)(path)
    with pytest.raises(GauntletError, match=str(path)):
        judge_study(EAT, folder)


@pytest.mark.parametrize(
    ("file", "edit"), [("scores.parquet", raise_scores), ("sanity.parquet.provenance.json", retime)]
)
def test_what_a_job_wrote_is_not_gathered_when_it_was_edited(repository, file, edit):
    cell = write_cell(Path("results/dml"), "digits", "at", range(2))
    edit(Path(JOB, file))
    with pytest.raises(GauntletError, match=file):
        gather([cell], "results/studies/eat/other", "eat", "mini", tables=TABLES)


def test_a_file_that_was_made_from_another_is_named(repository):
    write_cell(
        Path("results/dml"), "digits", "at", range(2), edit=lambda scores, *_: scores.assign(value=0.5)
    )
    (fault,) = verify().altered
    assert fault == f"{GATHERED}: made from another {JOB}/scores.parquet than is there now"


def test_missing_and_unrecorded_files_are_named(repository):
    Path(JOB, "sanity.parquet").unlink()
    Path("paper_figures/eat/extra.csv").write_text("a\n1\n")
    checked = verify()
    assert [line.split(":")[0] for line in checked.missing] == [f"{JOB}/sanity.parquet"]
    assert [line.split(":")[0] for line in checked.uncovered] == ["paper_figures/eat/extra.csv"]
    Path(GATHERED, "scores.parquet").unlink()
    assert not verify([GATHERED]).well


def test_data_are_compared_with_the_registry(repository):
    Path("data/digits").mkdir(parents=True)
    Path("data/digits/dataset.json").write_text("{}")
    checked = verify(["data"])
    assert [line.split(":")[0] for line in checked.altered] == ["data/digits/dataset.json"]
    assert len(checked.missing) == 4
    assert not verify(["eat"]).well  # the study's data
    assert verify(["paper_figures"]).well


def test_only_studies_and_paths_can_be_verified(repository):
    assert verify(["eat"]).hashed == verify().hashed - 1  # all but the claims of all studies
    with pytest.raises(GauntletError, match="did you mean 'eat'"):
        verify(["eta"])
