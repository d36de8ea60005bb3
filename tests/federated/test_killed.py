"""A federation that is killed goes on where it was."""

import random

import pytest
import toy_federated
from toy_federated import TABLES, identity

import moments
from gauntlet.families import weights
from gauntlet.families.federated import train

PAYLOADS = ("model.safetensors", *(f"{name}.parquet" for name in TABLES))


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, folder):
    """10 rounds per seed; SIGKILL after a random round of the first seed, and again of the second."""
    killed, state = tmp_path / "killed", tmp_path / "state"
    command = moments.python(toy_federated.__file__, folder, killed, state, "svb", 0, 1)
    whole = identity("svb", rounds=10, schedule="participation", decay_every=2)
    train.run(whole, [0, 1], tmp_path / "whole", None, "cpu", folder)
    for seed in (0, 1):
        moments.kill_at(f"round {seed} {random.randrange(2, 6)}", command)
        assert not (killed / "model.safetensors").exists()
        assert (state / f"seed-{seed}.state").exists()
    out, err = moments.finish(command)
    assert err.count("resuming from") == 2
    assert 1 <= out.count("round") < 10  # the first seed was finished, the second begun
    assert "imported torch._dynamo" not in out
    for name in PAYLOADS:
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert list(state.glob("*.state")) == []


def test_a_state_of_another_configuration_is_refused(tmp_path, folder, monkeypatch, capsys):
    def fit(out, state, **changes):
        train.run(identity(rounds=2, **changes), [0], tmp_path / out, state, "cpu", folder)
        return {name: (tmp_path / out / name).read_bytes() for name in PAYLOADS}

    def stop(*_):
        raise KeyboardInterrupt

    state = tmp_path / "state"
    with monkeypatch.context() as patch:
        patch.setattr(weights, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            fit("a", state)
    assert (state / "seed-0.state").exists()
    capsys.readouterr()
    resumed = fit("b", state, lr=0.02)
    assert "another configuration" in capsys.readouterr().err
    assert resumed == fit("c", None, lr=0.02)
