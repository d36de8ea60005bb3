"""A federation of distilled samples that is killed goes on where it was, in the middle of a round."""

import random

import pytest
import toy_distilled
from toy_distilled import SMALL, TABLES, identity

import moments
from gauntlet.families import weights
from gauntlet.families.distilled import train

PAYLOADS = ("model.safetensors", *(f"{name}.parquet" for name in TABLES))


def files(folder):
    return {name: (folder / name).read_bytes() for name in PAYLOADS}


@pytest.mark.parametrize("method", ["bilevel", "gradient_matching"])
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, folder, method):
    """4 rounds of 3 updates; SIGKILL after a random update of the second or third round, of both seeds."""
    killed, state = tmp_path / "killed", tmp_path / "state"
    command = moments.python(toy_distilled.__file__, folder, killed, state, method, 0, 1)
    train.run(identity(method, rounds=4), [0, 1], tmp_path / "whole", None, "cpu", folder)
    for seed in (0, 1):
        moments.kill_at(f"advanced {seed} {random.randrange(4, 9)}", command)
        assert not (killed / "model.safetensors").exists()
        assert (state / f"seed-{seed}.state").exists()
    out, err = moments.finish(command)
    assert err.count("resuming from") == 2
    assert 3 <= out.count("advanced") <= 10  # the first seed was finished, the second begun
    assert "imported torch._dynamo" not in out
    assert files(killed) == files(tmp_path / "whole")
    assert list(state.glob("*.state")) == []


@pytest.mark.parametrize("method", SMALL)
def test_a_run_that_is_stopped_before_its_outputs_needs_no_work_again(tmp_path, folder, method, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    state = tmp_path / "state"
    with monkeypatch.context() as patch:
        patch.setattr(weights, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            train.run(identity(method), [0], tmp_path / "a", state, "cpu", folder)
    for kind in (train.Sharing, train.Alone):
        monkeypatch.setattr(kind, "advance", stop)
    train.run(identity(method), [0], tmp_path / "a", state, "cpu", folder)
    monkeypatch.undo()
    train.run(identity(method), [0], tmp_path / "b", None, "cpu", folder)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_a_state_of_another_configuration_is_refused(tmp_path, folder, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    state = tmp_path / "state"
    with monkeypatch.context() as patch:
        patch.setattr(weights, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            train.run(identity("random_real"), [0], tmp_path / "a", state, "cpu", folder)
    capsys.readouterr()
    train.run(identity("random_real", lr=0.1), [0], tmp_path / "a", state, "cpu", folder)
    assert "another configuration" in capsys.readouterr().err
    train.run(identity("random_real", lr=0.1), [0], tmp_path / "b", None, "cpu", folder)
    assert files(tmp_path / "a") == files(tmp_path / "b")
