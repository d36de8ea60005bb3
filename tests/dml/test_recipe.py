"""What the keys of a training recipe do."""

import pytest
import torch
import toy

from gauntlet.families.block import Resume
from gauntlet.families.dml import checkpoints, train
from gauntlet.families.dml.settings import Data
from gauntlet.families.dml.split import class_split


def training(defense="none", seed=0, **recipe):
    what = train.Identity(**toy.identity(defense, **recipe))
    return train.Training(
        what, seed, class_split(toy.dataset(), Data(train_classes=3), seed), torch.device("cpu")
    )


def fitted(*arguments, **recipe):
    made = training(*arguments, **recipe)
    made.fit(Resume(None, {}, 0.0))
    return made


def state(made):
    return {name: value.clone() for name, value in made.members[0].net.state_dict().items()}


def test_rates_decay_by_steps(monkeypatch):
    made, seen = training(epochs=5, decay_every=2, decay=0.5), []
    monkeypatch.setattr(made.optimizers[0], "descend", lambda loss, factor: seen.append(factor))
    made.fit(Resume(None, {}, 0.0))
    each = made.steps_per_epoch
    assert seen == [1.0] * 2 * each + [0.5] * 2 * each + [0.25] * each


def test_a_warm_up_trains_the_head_and_the_proxies_alone():
    before = training(epochs=2, warmup=2)
    start, proxies = state(before), before.members[0].proxies.detach().clone()
    after = fitted(epochs=2, warmup=2)
    learned = {name for name, value in state(after).items() if not torch.equal(value, start[name])}
    trained = {name for name, _ in after.members[0].net.named_parameters()} & learned
    assert trained == {"head.linear.weight", "head.linear.bias"}
    assert not torch.equal(after.members[0].proxies, proxies)
    further = state(fitted(epochs=3, warmup=2))
    assert not torch.equal(further["features.0.conv.weight"], start["features.0.conv.weight"])


def test_frozen_batchnorm_stays_as_it_began():
    start, after = state(training()), state(fitted("at", freeze_batchnorm=True))
    norms = [name for name in start if ".norm." in name]
    assert norms
    assert all(torch.equal(start[name], after[name]) for name in norms)
    assert not torch.equal(start["features.0.conv.weight"], after["features.0.conv.weight"])


@pytest.mark.parametrize("loss", ["triplet", "contrastive"])
def test_losses_without_proxies_train_and_load(tmp_path, monkeypatch, loss):
    monkeypatch.setattr(train.data, "load", lambda name, folder=None: toy.dataset())
    recipe = toy.identity(loss=loss, loss_options={}, sampler="balanced", per_class=2)
    train.run(recipe, [0], tmp_path, None, "cpu")
    (member,) = checkpoints.read(tmp_path / "model.safetensors", 0).values()
    assert member["proxies"].shape == (0, 8)
    net = checkpoints.load(tmp_path / "model.safetensors", 0, "conv", 1, 8)
    assert net(torch.rand(2, 1, 8, 8)).shape == (2, 8)


def test_what_a_defense_remembers_is_part_of_the_state():
    one = fitted("hm", loss="triplet", loss_options={})
    assert one.members[0].memory["loss"] > 0
    other = training("hm", loss="triplet", loss_options={})
    other.restore(one.state())
    assert other.members[0].memory == one.members[0].memory


def test_the_first_batch_begins_the_training_and_the_last_ends_it():
    made, seen = training(epochs=2), []
    made.defense.losses = lambda members, batches: seen.append(batches[0].progress) or []
    made.fit(Resume(None, {}, 0.0))
    steps = 2 * made.steps_per_epoch
    assert seen == [step / steps for step in range(steps)]
