"""A federation that is killed goes on where it was."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
import toy_federated
from toy_federated import TABLES, identity

from gauntlet.families import weights
from gauntlet.families.federated import train

PAYLOADS = ("model.safetensors", *(f"{name}.parquet" for name in TABLES))


def script(folder, out, state, *arguments):
    command = [sys.executable, Path(toy_federated.__file__), folder, out, state, *arguments]
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, folder):
    """10 rounds per seed; SIGKILL after a random round of the first seed, and again of the second."""
    arguments = (folder, tmp_path / "killed", tmp_path / "state", "svb", 0, 1)
    whole = identity("svb", rounds=10, schedule="participation", decay_every=2)
    train.run(whole, [0, 1], tmp_path / "whole", None, "cpu", folder)
    for seed in (0, 1):
        target = f"round {seed} {random.randrange(2, 6)}"
        killed = script(*arguments)
        for line in killed.stdout:
            if line.strip() == target:
                killed.kill()
                break
        killed.communicate()
        assert killed.returncode == -9
        assert not (tmp_path / "killed" / "model.safetensors").exists()
        assert (tmp_path / "state" / f"seed-{seed}.state").exists()
    last = script(*arguments)
    out, err = last.communicate()
    assert last.returncode == 0, err
    assert err.count("resuming from") == 2
    assert 1 <= out.count("round") < 10  # the first seed was finished, the second begun
    assert "imported torch._dynamo" not in out
    for name in PAYLOADS:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert list((tmp_path / "state").glob("*.state")) == []


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
