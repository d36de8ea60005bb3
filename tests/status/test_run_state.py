"""What files say of a run, on a made-up results tree."""

import os
import shutil

import pytest

from gauntlet.status.state import Look

#: The steps of the tree, in the order in which they run.
TITLES = (
    "get dataset digits",
    "train none-",
    "train at-",
    "attack none-",
    "attack at-",
    "gather eat",
    "draw the figures of eat",
    "write the tables of eat",
    "judge the claims",
    "write the report",
    "copy into MLflow",
)


def test_an_empty_tree_waits_for_its_data(tree):
    states = tree.states()
    assert len(states) == len(TITLES)
    for title in TITLES:
        expected = "ready" if title.startswith("get") else "waiting"
        assert states[tree.at(title).name] == expected, title


def test_every_step_is_ready_when_all_before_it_are_done(tree):
    for age, title in zip(range(100, 0, -5), TITLES, strict=False):
        assert tree.states()[tree.at(title).name] == "ready", title
        tree.finish(tree.at(title), age=age)
        assert tree.states()[tree.at(title).name] == "done", title
    assert set(tree.states().values()) == {"done"}


def finished(tree):
    for age, title in zip(range(100, 0, -5), TITLES, strict=False):
        tree.finish(tree.at(title), age=age)


def test_one_output_that_is_missing_undoes_a_step_and_what_follows(tree):
    finished(tree)
    tree.at("attack at-").outputs[0].unlink()
    states = tree.states()
    assert states[tree.at("attack at-").name] == "ready"
    assert states[tree.at("attack none-").name] == "done"
    for title in TITLES[5:]:
        assert states[tree.at(title).name] == "waiting", title


def test_outputs_of_other_code_are_not_the_ones_wanted(tree):
    finished(tree)
    tree.finish(tree.at("train at-"), age=90, code="other")
    states = tree.states()
    assert states[tree.at("train at-").name] == "ready"
    assert states[tree.at("attack at-").name] == "waiting"
    assert states[tree.at("train none-").name] == "done"


def test_outputs_older_than_what_they_were_made_from_are_made_again(tree):
    finished(tree)
    tree.finish(tree.at("train at-"), age=1)
    states = tree.states()
    assert states[tree.at("train at-").name] == "done"
    assert states[tree.at("attack at-").name] == "ready"
    assert states[tree.at("attack none-").name] == "done"
    assert states[tree.at("gather eat").name] == "waiting"


def test_a_dataset_that_is_gone_undoes_no_result(tree):
    finished(tree)
    shutil.rmtree("data")
    states = tree.states()
    assert states.pop(tree.at("get dataset").name) == "ready"
    assert set(states.values()) == {"done"}


def test_a_job_is_at_work_while_it_is_heard_of(tree):
    tree.finish(tree.at("get dataset"), age=500)
    step = tree.at("train at-")
    tree.begin(step, age=20, log="warming up\nseed 0 epoch 1/2 loss 1.5 0.1 s\nother words\n")
    found = Look(tree.steps)(tree.now)[step.name]
    assert found.state == "running"
    assert found.seconds == pytest.approx(50)
    assert found.says == "seed 0 epoch 1/2 loss 1.5 0.1 s"
    assert found.pulse["memory"] == 512.0
    tree.begin(step, age=1000)
    assert tree.states()[step.name] == "stopped"


def test_what_a_log_says_of_its_end(tree):
    tree.finish(tree.at("get dataset"), age=500)
    step = tree.at("train at-")
    error = "gauntlet: config: the loss is not finite\n"
    for text, state in (
        (f"seed 0 epoch 1/2\n{error}", "failed"),
        ("seed 0\nTraceback (most recent call last):\n  x\nValueError: y\n", "failed"),
        ("seed 0 epoch 1/2\nSIGTERM: ending; the next run goes on from here\n", "stopped"),
    ):
        tree.begin(step, age=400, log=text)
        assert tree.states()[step.name] == state, text
        assert tree.states(since=tree.now - 100)[step.name] == "ready"  # that was an earlier run
    tree.finish(step, age=300)
    assert tree.states()[step.name] == "done"


def test_a_step_without_a_pulse_is_at_work_while_its_log_is_young(tree):
    step = tree.at("get dataset")
    tree.write(step.log, "digits: trying\n", age=10)
    assert tree.states()[step.name] == "running"
    tree.write(step.log, "digits: trying\n", age=5000)
    assert tree.states()[step.name] == "stopped"
    tree.write(step.log, "gauntlet: no network\n", age=10)
    assert tree.states()[step.name] == "failed"


def test_looking_changes_no_file(tree):
    finished(tree)
    tree.begin(tree.at("train at-"), age=1)

    def files():
        return {
            os.path.join(folder, name): os.stat(os.path.join(folder, name)).st_mtime_ns
            for folder, _, names in os.walk(".")
            for name in names
        }

    before = files()
    tree.states()
    assert files() == before


def test_the_steps_are_those_of_the_workflow(tree):
    """Names that rules have, spelt out: a rule that is renamed has to be renamed here."""
    found = {step.log.as_posix() for step in tree.steps.values()}
    block = {cell.model: cell.name for *_, cell in tree.plan.studies["eat"].cells}
    for name in block.values():
        assert f"logs/{name}/train.log" in found
    assert {
        "logs/data/data-digits.log",
        "logs/studies/eat/smoke/gather.log",
        "logs/studies/eat/figures.log",
        "logs/studies/eat/tables.log",
        "logs/claims.log",
        "logs/report.log",
        "logs/track.log",
    } <= found
