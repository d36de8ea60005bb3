"""Weights and measurements that another clone pushed: Snakemake goes on from them."""

import shutil

import pytest

from clones import connect, repository

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]
CONFIG = ("--config", "config/smoke.yaml")


def test_what_is_pulled_is_not_trained_again_until_its_code_changes(project, fresh, tmp_path):
    author, user = project, fresh.copy(tmp_path / "user")
    for side in (author, user):
        connect(repository(side.folder), tmp_path / "store")
    author.run("gauntlet", "study", "push", "eat", *CONFIG)
    shutil.copytree(author.folder / "runs", user.folder / "runs")  # what git carries
    user.run("gauntlet", "study", "pull", "eat", *CONFIG)
    user.run("gauntlet", "data", "fetch", "digits")  # later than the weights
    models = {
        path.relative_to(author.folder) for path in author.folder.glob("results/dml/**/model.safetensors")
    }
    pulled = {path.relative_to(user.folder) for path in user.folder.glob("results/dml/**/model.safetensors")}
    assert pulled
    assert pulled <= models
    assert all((user.folder / path).read_bytes() == (author.folder / path).read_bytes() for path in pulled)
    jobs = user.planned("--config", "study=eat")
    assert jobs["gather_dml"] == 1
    assert not {"dml_train", "dml_attack"} & set(jobs)
    users = sum("/at-" in str(path) or "/at_" in str(path) for path in pulled)
    assert 0 < users < len(pulled)
    file = user.folder / "src/gauntlet/defenses/embeddings/at.py"
    file.write_text(file.read_text() + "\nEXTRA = 1\n")
    assert user.planned("--config", "study=eat")["dml_train"] == users
