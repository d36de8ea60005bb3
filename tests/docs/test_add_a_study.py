"""docs/add-a-study.md: the study on the page loads, is judged, drawn and reported."""

import sys
from pathlib import Path

import pytest
from pages import blocks

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
from synthetic import build

from gauntlet.core.errors import GauntletError
from gauntlet.report import figures, tables
from gauntlet.report.claims.judge import judge_study
from gauntlet.report.html import Source
from gauntlet.report.html import build as build_html
from gauntlet.report.study import load


@pytest.fixture
def study_file(tmp_path) -> Path:
    ((path, text),) = blocks("docs/add-a-study.md")
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_the_study_of_the_page_is_judged_and_drawn(study_file, tmp_path):
    study = load(study_file)
    folder = build(tmp_path, methods=("none", "at"), study=study.study)
    verdicts = {key: claim["verdict"] for key, claim in judge_study(study_file, folder)["claims"].items()}
    assert verdicts == {"TOY-1": "holds", "TOY-2": "holds", "TOY-3": "not measured"}
    drawn = tmp_path / "figures"
    for name in study.figures:
        figures.draw(study_file, name, folder, drawn / name)
    for name in study.tables:
        tables.write(study_file, name, folder, drawn / name)
    page = build_html([Source(study_file, folder, drawn)], drawn / "index.html").read_text(encoding="utf-8")
    assert all(claim.statement in page for claim in study.claims.values())
    assert "Not run: ALP" in page


def test_the_page_names_the_faults_it_promises(study_file):
    text = study_file.read_text(encoding="utf-8")
    study_file.write_text(
        text.replace("method: at, attack: worst", "method: att, attack: worst"), encoding="utf-8"
    )
    with pytest.raises(
        GauntletError, match=r"toy-at\.yaml: claims\.TOY-1\.checks\.0\.value\.method(.|\n)*'at'"
    ):
        load(study_file)
