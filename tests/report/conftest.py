"""Fixtures of the report's tests."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the tests import their helper `synthetic`

from synthetic import REPOSITORY, TABLES, build, write_cell

from gauntlet.report import figures, tables
from gauntlet.report.claims import board
from gauntlet.report.gather import gather
from gauntlet.report.publish import publish


@pytest.fixture(scope="session")
def gathered(tmp_path_factory) -> Path:
    """All methods on two datasets, five seeds. Read only."""
    return build(tmp_path_factory.mktemp("measurements"))


@pytest.fixture(scope="session")
def measured_repository(tmp_path_factory) -> Path:
    """A repository with a run of two methods and two seeds, drawn and judged. Copy it to change it."""
    root = tmp_path_factory.mktemp("repository")
    for name in ("config", "envs"):
        shutil.copytree(REPOSITORY / name, root / name)
    for name in ("Snakefile", "CITATION.cff", "README.md"):
        shutil.copy(REPOSITORY / name, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        cells = [write_cell(Path("results/dml"), "digits", method, range(2)) for method in ("none", "at")]
        folder = gather(cells, "results/studies/eat/mini", "eat", "mini", tables=TABLES)
        eat = "config/studies/eat.yaml"
        figures.draw(eat, "comparison", folder, "paper_figures/eat/comparison")
        tables.write(eat, "main", folder, "paper_figures/eat/main")
        board.judge_all([(eat, folder)], "paper_figures/claims.json")
        publish(folder, "published/eat/mini")
    return root


@pytest.fixture
def repository(measured_repository, tmp_path, monkeypatch) -> Path:
    """Such a repository of one's own, and the working directory."""
    shutil.copytree(measured_repository, tmp_path / "repository")
    monkeypatch.chdir(tmp_path / "repository")
    return Path()
