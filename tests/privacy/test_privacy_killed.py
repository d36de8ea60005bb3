"""A job that is killed between two seeds goes on with the second."""

import pytest
import toy_privacy
from toy_privacy import HOW, WHAT, identity, measured, train

import moments
from gauntlet.families.privacy import evaluate


def test_a_killed_job_goes_on_to_the_same_bytes(tmp_path, folder):
    root, out, state = tmp_path / "cells", tmp_path / "out", tmp_path / "state"
    measured(WHAT, HOW, root, folder, tmp_path / "whole", seeds=(0, 1))
    command = moments.python(toy_privacy.__file__, folder, root, out, state, 0, 1)
    moments.kill_at("begins 1", command)
    assert not out.exists() or not list(out.glob("*.parquet"))
    printed, err = moments.finish(command)
    assert "resuming from" in err
    assert printed.splitlines() == ["begins 1", "ends 1"]
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
