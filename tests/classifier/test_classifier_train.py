"""Training classifiers: what they learn, what determines the bytes, and what happens to a killed run."""

import random

import numpy as np
import pandas as pd
import pytest
import torch
import toy_classifier
from toy_classifier import identity

import moments
from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.core.provenance import read_sidecar
from gauntlet.core.registry import names
from gauntlet.data.subset import held_out_and_rest, on_device
from gauntlet.families.classifier import train
from gauntlet.families.classifier.network import load, logits
from gauntlet.families.classifier.settings import Train

PAYLOADS = ("model.safetensors", "training.parquet")


def fit(out, folder, *arguments, seeds=(0,), state=None, **changes):
    train.run(identity(*arguments, **changes), list(seeds), out, state, "cpu", folder)
    return {name: (out / name).read_bytes() for name in PAYLOADS}


def accuracy(path, digits, seed=0, **kind):
    net, _ = load(path, seed, kind.get("architecture", "cnn2_bn"), 1, 8, 10)
    images = on_device(digits.test, np.arange(len(digits.test)), digits.peak, "cpu")
    return (logits(net, images.pixels).argmax(1) == images.labels).double().mean().item()


@pytest.mark.parametrize("defense", names("classifier_defense"))
def test_every_defense_learns(tmp_path, folder, digits, defense):
    options = {} if defense == "none" else None
    fit(tmp_path, folder, defense, options, data={"per_class": 80}, epochs=6, lr=0.02)
    table = pd.read_parquet(tmp_path / "training.parquet")
    assert list(table.columns) == ["seed", "epoch", "member", "loss", "passes"]
    assert table["loss"].iloc[-1] < 0.8 * table["loss"].iloc[0]
    assert accuracy(tmp_path / "model.safetensors", digits) > 0.8


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("schedule", ["constant", "steps", "cosine"])
def test_every_recipe_learns(tmp_path, folder, digits, optimizer, schedule):
    lr = 0.05 if optimizer == "sgd" else 0.005
    recipe = {"optimizer": optimizer, "schedule": schedule, "lr": lr, "decay_at": [0.5], "normalise": True}
    fit(tmp_path, folder, "none", {}, **recipe)
    assert accuracy(tmp_path / "model.safetensors", digits) > 0.7


def test_the_same_inputs_give_the_same_bytes_and_another_seed_does_not(tmp_path, folder):
    recipe = {"epochs": 1, "augment": ["crop", "flip"]}
    one = fit(tmp_path / "a", folder, "pgd_at", **recipe)
    assert fit(tmp_path / "b", folder, "pgd_at", **recipe) == one
    other = fit(tmp_path / "c", folder, "pgd_at", seeds=(1,), **recipe)
    assert other["model.safetensors"] != one["model.safetensors"]


def test_a_block_of_seeds_is_its_seeds(tmp_path, folder):
    fit(tmp_path / "both", folder, "none", {}, seeds=(0, 1), epochs=1)
    fit(tmp_path / "one", folder, "none", {}, seeds=(1,), epochs=1)
    both, one = (
        load(tmp_path / name / "model.safetensors", 1, "cnn2_bn", 1, 8, 10) for name in ("both", "one")
    )
    assert both[1] == one[1]
    for a, b in zip(both[0].parameters(), one[0].parameters(), strict=True):
        assert torch.equal(a, b)


def test_plain_training_equals_a_loop_by_hand(tmp_path, folder, digits):
    """SGD with momentum on shuffled batches, the rate falling at half of the training."""
    recipe = {"epochs": 2, "schedule": "steps", "decay_at": [0.5], "weight_decay": 0.001}
    fit(tmp_path, folder, "none", {}, **recipe)
    what = parse(train.Identity, identity("none", {}, **recipe), file="x")
    start = train.Training(what, 0, digits, torch.device("cpu"))
    net, images = start.model.net, start.images
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=0.001)
    for epoch in range(2):
        optimizer.param_groups[0]["lr"] = 0.05 if epoch == 0 else 0.005
        order = torch.randperm(len(images), generator=train.torch_generator(0, "batches", epoch))
        for rows in order.split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(images.pixels[rows]), images.labels[rows]).backward()
            optimizer.step()
    trained, _ = load(tmp_path / "model.safetensors", 0, "cnn2_bn", 1, 8, 10)
    for a, b in zip(trained.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_held_out_images_are_for_calibration_alone(tmp_path, folder, digits):
    kept, rest = held_out_and_rest(digits.train, 10, 40, 0)
    assert len(np.intersect1d(kept, rest)) == 0
    assert np.bincount(digits.train.labels[kept]).tolist() == [10] * 10
    fit(tmp_path / "some", folder, "none", {})
    fit(tmp_path / "none", folder, "none", {}, data={"held_out": 0})
    assert load(tmp_path / "some" / "model.safetensors", 0, "cnn2_bn", 1, 8, 10)[1] != 1
    assert load(tmp_path / "none" / "model.safetensors", 0, "cnn2_bn", 1, 8, 10)[1] == 1


def test_the_budget_counts_passes(tmp_path, folder):
    fit(tmp_path, folder, "pgd_at", epochs=2)  # two attack steps and the update
    assert pd.read_parquet(tmp_path / "training.parquet")["passes"].tolist() == [3, 6]
    sidecar = read_sidecar(tmp_path / "training.parquet")
    assert sidecar["cost"]["per_seed"]["passes_per_image"] == {"0": 6}
    assert sidecar["step"] == "classifier train"


def test_the_rate_follows_its_schedule():
    def factors(**recipe):
        settings = Train(epochs=1, batch=1, lr=1.0, **recipe)
        return [train.factor(settings, done) for done in (0, 0.25, 0.5, 0.75, 1)]

    assert factors() == [1] * 5
    assert factors(schedule="steps", decay_at=[0.5, 0.75], decay=0.1) == pytest.approx(
        [1, 1, 0.1, 0.01, 0.01]
    )
    assert factors(schedule="cosine") == pytest.approx([1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2, 0])


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, folder):
    recipe = {"optimizer": "adam", "lr": 0.01, "augment": ["crop", "flip"], "schedule": "cosine"}
    whole = fit(tmp_path / "whole", folder, "trades", seeds=(0, 1), **recipe)
    killed, state = tmp_path / "killed", tmp_path / "state"
    command = moments.python(toy_classifier.__file__, folder, killed, state, "trades", 0, 1)
    for seed in (0, 1):
        moments.kill_at(f"step {seed} {random.randrange(3, 30)}", command)
        assert not (killed / "model.safetensors").exists()
    out, err = moments.finish(command)
    assert err.count("resuming from") == 2
    assert "imported torch._dynamo" not in out
    for name in PAYLOADS:
        assert (killed / name).read_bytes() == whole[name], name
    assert list(state.glob("*.state")) == []


def test_faults_are_named(tmp_path, folder):
    with pytest.raises(GauntletError, match=r"loss is not finite.*defense none, seed 0, epoch 1"):
        fit(tmp_path, folder, "none", {}, lr=1e30)
    with pytest.raises(GauntletError, match=r"'pgd_at'.*unexpected keyword"):
        fit(tmp_path, folder, "pgd_at", {**toy_classifier.PGD, "stepz": 1})
    with pytest.raises(GauntletError, match="did you mean 'trades'"):
        fit(tmp_path, folder, "tradez")
    with pytest.raises(GauntletError, match="200 would be held out"):
        fit(tmp_path, folder, "none", {}, data={"held_out": 200})
    with pytest.raises(GauntletError, match=r"train.decay_at.0"):
        fit(tmp_path, folder, "none", {}, decay_at=[1.5])
    fit(tmp_path, folder, "none", {}, epochs=1)
    with pytest.raises(GauntletError, match="not weights of 'lenet'"):
        load(tmp_path / "model.safetensors", 0, "lenet", 1, 16, 10)
