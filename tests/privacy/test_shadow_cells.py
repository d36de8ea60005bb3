"""Cells of shadow models: what they leave, and that a killed one goes on."""

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from toy_privacy import cell, identity

from gauntlet.cell import family_settings
from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.families import weights
from gauntlet.families.federated import world
from gauntlet.families.shadows import pool, settings, train
from gauntlet.families.shadows.models import packed, unpacked

RECIPE = {"models": 4, "epochs": 40, "batch": 8, "lr": 0.1, "momentum": 0.5}


def needed(architecture="convnet2", **recipe):
    what = identity(architecture=architecture, shadows={**RECIPE, **recipe})
    return cell(what).needs("attack")["shadows"].identity


def run(what, out, folder, seeds=(0,), state=None):
    train.run(what, list(seeds), out, state, "cpu", folder, every=0)


def test_models_know_their_half_of_the_candidates_and_say_how_well(tmp_path, folder, digits):
    what = needed()
    run(what, tmp_path, folder, seeds=(0, 1))
    table = pd.read_parquet(tmp_path / "training.parquet")
    assert table[["seed", "member"]].to_numpy().tolist() == [[s, m] for s in (0, 1) for m in range(4)]
    assert set(table["epoch"]) == {39}
    assert set(table["passes"]) == {80.0}  # 4 models, 40 epochs, half of the candidates
    built = world.build(digits, parse(settings.Data, what["data"], file="x"), 1, torch.device("cpu"))
    images = pool.draw(built, 1).images
    models, inside = unpacked(weights.read(tmp_path / "model.safetensors", 1), torch.device("cpu"))
    assert inside.sum(axis=0).tolist() == [2] * len(images)
    assert inside.sum(axis=1).tolist() == [len(images) // 2] * 4
    net = built.network("convnet2", 1, "init").eval()
    losses = table[table["seed"] == 1]["loss"]
    for state, mask, loss in zip(models, inside, losses, strict=True):
        net.load_state_dict(state)
        with torch.no_grad():
            found = F.cross_entropy(net(images.pixels), images.labels, reduction="none").numpy()
        assert found[mask].mean() == pytest.approx(loss, rel=1e-4)
        assert 5 * found[mask].mean() < found[~mask].mean()


def test_packed_models_come_back():
    models = [{"a": torch.full((2,), float(i)), "b": torch.full((1, 3), -float(i))} for i in range(4)]
    inside = np.array([[True, False], [False, True]] * 2)
    states, back = unpacked(packed(models, inside), torch.device("cpu"))
    assert np.array_equal(back, inside)
    for state, model in zip(states, models, strict=True):
        assert {name: value.tolist() for name, value in state.items()} == {
            name: value.tolist() for name, value in model.items()
        }


def test_a_killed_job_goes_on_to_the_same_bytes(tmp_path, folder, monkeypatch, capsys):
    what = needed(epochs=3)
    monkeypatch.setattr(train.shadows, "at_once", lambda *_: 2)
    run(what, tmp_path / "whole", folder)
    fit, calls = train.shadows.train, []

    def killed(*arguments):
        calls.append(len(arguments[2]))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit(*arguments)

    monkeypatch.setattr(train.shadows, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        run(what, tmp_path / "killed", folder, state=tmp_path / "state")
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    run(what, tmp_path / "killed", folder, state=tmp_path / "state")
    assert calls == [2, 2, 2]  # the first two models were not trained again
    assert "resuming from" in capsys.readouterr().err
    for name in ("model.safetensors", "training.parquet"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(("models", "says"), [(3, "multiple of 2"), (0, "greater than or equal to 2")])
def test_models_come_in_pairs(models, says):
    with pytest.raises(GauntletError, match=says) as caught:
        parse(settings.Train, {**RECIPE, "models": models}, file="x.yaml", key="train.shadows")
    assert "x.yaml: train.shadows.models" in str(caught.value)


def test_no_study_is_about_them():
    with pytest.raises(GauntletError, match="take family privacy"):
        family_settings("shadows").method_kind({"options": {}})
