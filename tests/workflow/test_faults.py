"""Bad input and failing jobs, as a user meets them."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "dataset: digits",
            "dataset: digitz",
            ["config/bad.yaml: studies.eat.grids.0.dataset", "did you mean 'digits'"],
        ),
        ("architectures: [conv]", "architectures: [cnv]", ["architectures.0", "did you mean 'conv'"]),
        ("margin, joint_pair]", "margin, joint_pear]", ["evaluate", "joint_pair"]),
        ("epochs: 2", "epoch: 2", ["studies.eat.grids.0.train.epochs", "Field required"]),
        ("epochs: 2", "epochs: 2, epochz: 2", ["train.epochz", "did you mean 'epochs'"]),
        ("epochs: 2", "epochs: two", ["train.epochs", "valid integer", "'two'"]),
        ('seeds: ["0-1"]', 'seeds: ["a"]', ["seeds.0"]),
        ("  eat:", "  tae:", ["tae.yaml"]),
    ],
)
def test_a_configuration_error_is_one_message(fresh, old, new, words):
    text = (fresh.folder / "config/smoke.yaml").read_text()
    assert old in text
    (fresh.folder / "config/bad.yaml").write_text(text.replace(old, new, 1))
    done = fresh.snakemake("-n", config="config/bad.yaml", check=False)
    assert done.returncode != 0
    for word in words:
        assert word in done.stdout
    assert "Traceback" not in done.stdout
    direct = fresh.run("gauntlet", "reproduce", "--config", "config/bad.yaml", check=False)
    assert direct.returncode == 2
    assert all(word in direct.stdout for word in words)
    assert not (fresh.folder / "results").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "defense: trades",
            "defense: tradez",
            ["config/studies/eat.yaml: methods.trades.defense", "'trades'"],
        ),
        (
            "self_transfer: own",
            "self_transfr: own",
            ["methods.eat_own.options.self_transfr", "did you mean 'self_transfer'"],
        ),
        ("self_transfer: own", "self_transfer: 3", ["methods.eat_own.options.self_transfer", "got 3"]),
    ],
)
def test_an_error_in_a_study_names_the_study(fresh, tmp_path, old, new, words):
    project = fresh.copy(tmp_path / "project")
    project.edit("config/studies/eat.yaml", old, new)
    project.edit(
        "config/smoke.yaml",
        "architectures: [conv]",
        "architectures: [conv]\n        methods: [none, trades, eat_own]",
    )
    done = project.snakemake("-n", check=False)
    assert done.returncode != 0
    assert all(word in done.stdout for word in words), done.stdout


def test_slurm_profile_without_slurm(fresh, tmp_path):
    for tool in ("bash", "sh", "env", "which"):  # all that Snakemake starts; no sbatch among them
        (tmp_path / tool).symlink_to(shutil.which(tool))
    path = os.pathsep.join([str(Path(sys.executable).parent), str(tmp_path)])
    done = fresh.run(
        "snakemake", "--profile", "slurm", "--configfile", "config/smoke.yaml", check=False, PATH=path
    )
    assert done.returncode != 0
    assert "no Slurm on this machine" in done.stdout
    assert "remedy" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_configuration_may_lie_outside_the_repository(fresh, tmp_path):
    config = tmp_path / "smoke.yaml"
    shutil.copy(fresh.folder / "config/smoke.yaml", config)
    assert fresh.planned(config=str(config)) == fresh.planned()


def test_lint_is_clean(fresh):
    assert "Congratulations" in fresh.run("snakemake", "--lint").stdout


def test_a_failed_trial_leaves_a_hole_and_the_command_that_reruns_it(fresh, tmp_path):
    project = fresh.copy(tmp_path / "project")
    few = "architectures: [conv]\n        methods: [none, at]"
    project.edit("config/smoke.yaml", "architectures: [conv]", few)
    project.edit("src/gauntlet/defenses/embeddings/at.py", "def loss(", "def broken(")
    command = ("gauntlet", "reproduce", "--config", "config/smoke.yaml", "--study", "eat", "--cores", "2")
    done = project.run(*command, check=False)
    assert done.returncode == 1
    assert "1 step failed" in done.stdout
    assert not set(done.stdout) & {"\x1b", "\r"}
    trials = [line for line in done.stdout.splitlines() if line.startswith("eat  none digits/conv seed ")]
    assert len(trials) == 2
    assert "logs/dml/digits/conv/at-" in done.stdout
    report = (project.folder / "paper_figures/index.html").read_text()
    assert "logs/dml/digits/conv/at-" in report
    assert list(project.folder.glob("results/dml/digits/conv/none-*/seeds-0-1/attack-*/scores.parquet"))
    # The cause is mended: the command runs that step, then only what was missing runs, and the end is good.
    project.edit("src/gauntlet/defenses/embeddings/at.py", "def broken(", "def loss(")
    (rerun,) = (line for line in done.stdout.splitlines() if line.startswith("  rerun: "))
    snakemake, *words = shlex.split(rerun.removeprefix("  rerun: "))
    table = project.run(snakemake, "-n", *words).stdout.rsplit("Job stats:", 1)[1].split("\n\n")[0]
    assert re.search(r"^dml_train +1$", table, re.MULTILINE)
    assert "dml_attack" not in table
    mended = project.run(*command)
    log = (project.folder / "logs/snakemake.log").read_text()
    trained = [line for line in log.splitlines() if ": train " in line]
    assert trained
    assert all(": train at-" in line for line in trained)
    assert "Report: " in mended.stdout


def test_kill_and_resume_gives_the_same_bytes(fresh, tmp_path):
    """SIGKILL a training job in the middle; the next run goes on from its state."""
    calm, killed = fresh.copy(tmp_path / "calm"), fresh.copy(tmp_path / "killed")
    for project in (calm, killed):
        project.edit("config/smoke.yaml", "epochs: 2", "epochs: 60")
        project.edit(
            "config/smoke.yaml", "architectures: [conv]", "architectures: [conv]\n        methods: [at]"
        )
    calm.snakemake("models", "--config", "study=eat")
    weights = next(calm.folder.glob("results/dml/**/at-*/**/model.safetensors")).relative_to(calm.folder)

    environment = killed.environment(GAUNTLET_STATE_SECONDS="0.2")
    command = ["snakemake", "--configfile", "config/smoke.yaml", "--cores", "2", "models"]
    command += ["--config", "study=eat"]
    run = subprocess.Popen(
        command, cwd=killed.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    # One level under the model: the file in place, not the one that is being written beside it.
    state = _wait_for(lambda: next(killed.folder.glob(".gauntlet/state/**/at-*/*/seed-0.state"), None))
    os.kill(_training(killed.folder, "at-"), signal.SIGKILL)
    assert run.wait(timeout=120) != 0
    assert state.is_file()
    assert not (killed.folder / weights).exists()

    killed.snakemake("models", "--config", "study=eat")
    log = next(killed.folder.glob("logs/dml/**/at-*/**/train.log")).read_text()
    assert "resuming from" in log
    assert (killed.folder / weights).read_bytes() == (calm.folder / weights).read_bytes()
    curve = weights.with_name("training.parquet")
    assert (killed.folder / curve).read_bytes() == (calm.folder / curve).read_bytes()


def _wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def _training(folder: Path, model: str) -> int:
    """The process that trains a model of this name in ``folder``."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                here = os.readlink(process / "cwd") == str(folder) and words[1].endswith(b"/gauntlet")
                if here and b"train" in words and any(f"/{model}".encode() in word for word in words):
                    return int(process.name)
            except (OSError, IndexError):
                continue
    raise AssertionError("no training process found")
