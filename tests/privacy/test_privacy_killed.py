"""A job that is killed between two seeds goes on with the second."""

import subprocess
import sys
from pathlib import Path

import pytest
import toy_privacy
from toy_privacy import HOW, WHAT, identity, measured, train

from gauntlet.families.privacy import evaluate


def script(*arguments):
    command = [sys.executable, Path(toy_privacy.__file__), *arguments]
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_killed_job_goes_on_to_the_same_bytes(tmp_path, folder):
    root, out, state = tmp_path / "cells", tmp_path / "out", tmp_path / "state"
    measured(WHAT, HOW, root, folder, tmp_path / "whole", seeds=(0, 1))
    arguments = (folder, root, out, state, 0, 1)
    killed = script(*arguments)
    for line in killed.stdout:
        if line.strip() == "begins 1":
            killed.kill()
            break
    killed.communicate()
    assert killed.returncode == -9
    assert not out.exists() or not list(out.glob("*.parquet"))
    last = script(*arguments)
    printed, err = last.communicate()
    assert last.returncode == 0, err
    assert "resuming from" in err
    assert printed.split() == ["begins", "1"]
    for name in ("scores", "roc", "samples"):
        assert (out / f"{name}.parquet").read_bytes() == (tmp_path / f"whole/{name}.parquet").read_bytes()


def test_other_weights_are_measured_afresh(tmp_path, folder, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    root, arguments = (
        tmp_path / "cells",
        (WHAT, HOW, [0], tmp_path / "out", "cpu", folder, tmp_path / "state"),
    )
    weights = train(WHAT, root, folder)
    with monkeypatch.context() as patch:
        patch.setattr("gauntlet.families.block.write_rows", stop)
        with pytest.raises(KeyboardInterrupt):
            evaluate.run(*arguments, **weights)
    changed = train(identity(federated={"lr": 0.05}), root, folder)["target"]
    capsys.readouterr()
    evaluate.run(*arguments, **{**weights, "target": changed})
    assert "another configuration or code" in capsys.readouterr().err
