"""What is shown of a run: its sums, the time that is left, lines and pictures."""

import io
import json
import os
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from gauntlet.cli import app
from gauntlet.core.files import write_parquet
from gauntlet.costs.jobs import Job
from gauntlet.costs.rates import Measured, Rates
from gauntlet.status import left as time_left
from gauntlet.status import run as runs
from gauntlet.status import view
from gauntlet.status.state import Look, State
from gauntlet.status.summary import summarise
from gauntlet.status.trials import Finished
from gauntlet.status.watch import Lines, showing


def half(tree):
    """One method is done, the other's training failed; a third step is at work."""
    for title, age in (("get dataset", 90), ("train none-", 80), ("attack none-", 70)):
        tree.finish(tree.at(title), age=age)
    lines = "".join(f"seed 0 epoch {number}/40 loss 1.0\n" for number in range(20))
    tree.begin(tree.at("train at-"), age=1000, log=f"{lines}Traceback\ngauntlet: the loss is not finite\n")


def summed(tree, left=(600.0, 0)):
    rerun = lambda step: runs.rerun(step, "config/smoke.yaml", 2)  # noqa: E731
    return summarise(tree.plan, tree.steps, Look(tree.steps)(tree.now), left, rerun)


def shown(summary, width=80) -> str:
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(view.render(summary))
    return console.export_text()


def test_sums_of_a_run(tree):
    half(tree)
    found = summed(tree)
    assert {name: (stage.done, stage.steps, stage.failed) for name, stage in found.stages.items()} == {
        "data": (1, 1, 0),
        "train": (1, 2, 1),
        "attack": (1, 2, 0),
        "figures": (0, 3, 0),
        "claims": (0, 3, 0),
    }
    assert (found.trials_done, found.trials) == (2, 4)  # two seeds of one method of two
    assert found.held == 7  # the attack, and all that is drawn
    (failure,) = found.failures
    assert failure.lines[-1] == "gauntlet: the loss is not finite"
    assert len(failure.lines) == 12
    assert not found.done


def test_the_command_reruns_that_step(tree):
    half(tree)
    (failure,) = summed(tree).failures
    target = tree.at("train at-").outputs[0]
    assert failure.rerun == f"snakemake --configfile config/smoke.yaml --cores 2 {target}"
    command = runs.rerun(tree.at("train at-"), "a b.yaml", profile="slurm", overrides=["study=eat"])
    assert command == f"snakemake --configfile 'a b.yaml' --profile slurm {target} --config study=eat"


def test_the_picture_fits_80_columns_and_says_what_matters(tree):
    half(tree)
    tree.begin(tree.at("attack at-"), age=1, log="seed 0 margin recall@1 0.25\n")
    text = shown(summed(tree))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "smoke: 2 of 4 trials, 1 at work, 1 failed, about 10 min of jobs left"
    for words in ("train", "1/2 1 failed", "512 MB", "31 s", "seed 0 margin recall@1", "loss is not finite"):
        assert words in text
    assert tree.at("train at-").outputs[0].as_posix() in text.replace("\n", "")
    assert max(map(len, shown(summed(tree), 40).splitlines())) <= 40


def test_brackets_in_a_log_are_words(tree):
    half(tree)
    tree.begin(tree.at("attack at-"), age=1, log="seed 0 [bold]x[/bold] [/nothing]\n")
    assert "[bold]x[/bold]" in shown(summed(tree), 160)


def test_a_log_gets_sparse_lines_without_control_characters(tree):
    half(tree)
    out = io.StringIO()
    with showing(Console(file=out)) as show:
        assert isinstance(show, Lines)
        for _ in range(3):
            show(summed(tree), [])
        tree.finish(tree.at("train at-"), age=5)
        show(summed(tree), ["eat  at digits/conv seed 0  worst/recall_at_1 0.500  5.0 s"])
    assert out.getvalue().splitlines() == [
        "smoke: 2 of 4 trials, 1 failed, about 10 min of jobs left",
        "eat  at digits/conv seed 0  worst/recall_at_1 0.500  5.0 s",
        "train 2 of 2",
    ]
    assert not set(out.getvalue()) & {"\x1b", "\r", "\b"}


def test_a_terminal_gets_a_picture(tree):
    out = io.StringIO()
    with showing(Console(file=out, force_terminal=True, width=80)) as show:
        show(summed(tree), ["a trial"])
    assert "\x1b[" in out.getvalue()
    assert "a trial" in out.getvalue()


def test_a_line_per_trial_that_has_finished_since(tree):
    half(tree)
    finished, look = Finished(tree.plan), Look(tree.steps)
    assert finished(look(tree.now)) == []  # was there before
    tree.finish(tree.at("train at-"), age=50, seconds=6.0)
    tree.finish(tree.at("attack at-"), age=40, seconds=4.0)
    scores = next(path for path in tree.at("attack at-").outputs if path.name == "scores.parquet")
    row = {"suite": "main", "view": "ensemble", "detail": "", "eps": 0.1, "steps": 1, "fraction": 1.0}
    rows = [
        row | {"seed": seed, "attack": attack, "metric": "recall@1", "value": seed / 10 + value}
        for seed in (0, 1)
        for attack, value in (("clean", 0.8), ("worst", 0.5))
    ]
    write_parquet(scores, pd.DataFrame(rows))
    os.utime(scores, (tree.now - 40, tree.now - 40))
    assert finished(look(tree.now)) == [
        "eat  at digits/conv seed 0  worst/recall_at_1 0.500  5.0 s",
        "eat  at digits/conv seed 1  worst/recall_at_1 0.600  5.0 s",
    ]
    assert finished(look(tree.now)) == []


def job(name, label="at", waits=()):
    return Job(name, "dml", "train", label, "conv", 2, 1e9, waits)


@pytest.fixture
def three(tree):
    """Two trainings of one method and one of another, which waits for the first; a rate for the second."""
    step = tree.at("train at-")
    jobs = {"a": job("a"), "b": job("b"), "c": job("c", "none", ("a",))}
    steps = dict.fromkeys(jobs, step)
    elsewhere = Measured(job("m", "none"), "CPU", 30.0, "s", "mini", Path("s"))
    return jobs, steps, time_left.Left(jobs, Rates([elsewhere]))


def test_the_rest_by_hand(three):
    _, steps, left = three
    ready = dict.fromkeys("abc", State("ready"))
    assert left(steps, ready, 1) == (pytest.approx(90), 0)  # all have the family's rate, of elsewhere
    assert left(steps, ready, 2) == (pytest.approx(60), 0)  # c after a
    measured_here = ready | {"a": State("done", 10.0, "Here")}
    assert left(steps, measured_here, 1) == (pytest.approx(20), 0)  # what is measured here counts first
    says = "seed 1 epoch 1/2 loss 0.5"
    running = measured_here | {"b": State("running", 4.0, says=says)}
    assert left(steps, running, 1) == (pytest.approx(10 * 0.25 + 10), 0)  # three quarters of b are done
    silent = measured_here | {"b": State("running", 4.0)}
    assert left(steps, silent, 1) == (pytest.approx(10 - 4 + 10), 0)
    assert left(steps, dict.fromkeys("abc", State("done", 10.0, "Here")), 1) == (0.0, 0)


def test_what_nobody_measured_is_said_to_be_unknown(three):
    jobs, steps, _ = three
    left = time_left.Left(jobs, Rates([]))
    ready = dict.fromkeys("abc", State("ready"))
    assert left(steps, ready, 1) == (None, 3)
    running = ready | {"a": State("running", 30.0, says="seed 0: 1 of 2 shadow models")}
    assert left(steps, running, 1) == (pytest.approx(90), 2)  # a quarter of it took 30 s


def test_durations_in_words():
    words = [view.duration(value) for value in (0, 45.4, 99.4, 99.6, 3600, 7500)]
    assert words == ["0 s", "45 s", "99 s", "2 min", "60 min", "2 h 05 min"]


def test_status_asks_about_the_run_begun_last(tree):
    half(tree)
    ask = CliRunner().invoke(app, ["status", "--config", "config/smoke.yaml", "--study", "eat", "--json"])
    assert ask.exit_code == 0, ask.output
    found = json.loads(ask.stdout)
    assert found["scale"] == "smoke"
    assert found["stages"]["data"] == {"steps": 1, "done": 1, "running": 0, "failed": 0}
    runs.write(Path("config/smoke.yaml"), 3, None)
    assert runs.last()["cores"] == 3
    told = CliRunner().invoke(app, ["status", "--study", "eat"])
    assert told.stdout.startswith("smoke: ")
    assert not set(told.stdout) & {"\x1b", "\r"}
