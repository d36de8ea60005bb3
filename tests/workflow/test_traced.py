"""A really run trial: its chain is whole, and the chain's commands make the same bytes again."""

import shlex
import shutil
from pathlib import Path

import pytest

from gauntlet.core.files import digest_json, sha256_file
from gauntlet.report.provenance.trace import trace
from gauntlet.report.provenance.verify import verify

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]


def test_the_commands_of_a_chain_make_the_same_bytes_again(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    checked = verify()
    assert (checked.altered, checked.missing, checked.elsewhere) == ([], [], 0)
    chain = trace("eat", {"method": "none", "attack": "worst", "metric": "recall@1", "seed": "0"})
    assert chain.notes == []
    (trials,) = chain.trials
    outputs = {Path(job.folder, name): digest for job in trials.jobs for name, digest in job.outputs.items()}
    assert Path("results", trials.cell, "model.safetensors") in outputs
    assert trials.cell.split("/")[3].endswith(digest_json(trials.config["identity"], 8))
    (data,) = chain.data
    assert data.recorded
    assert data.prepared == {file: sha256_file(file) for file in data.prepared}
    shutil.rmtree(Path("results", trials.cell))
    for command in chain.commands:
        project.run(*shlex.split(command))
    assert {file: sha256_file(file) for file in outputs} == outputs
