import random

import pandas as pd
import pytest
import torch
import toy
from safetensors.torch import load_file

import moments
from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.core.provenance import read_sidecar
from gauntlet.core.registry import names, resolve
from gauntlet.families import weights
from gauntlet.families.dml import checkpoints, train
from gauntlet.families.dml.settings import Data
from gauntlet.families.dml.split import class_split
from gauntlet.losses import mining

PAYLOADS = ("model.safetensors", "training.parquet", "spread.parquet")


@pytest.fixture(autouse=True)
def toy_data(monkeypatch):
    monkeypatch.setattr(data, "load", lambda name, folder=None: toy.dataset())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def fit(folder, *arguments, seeds=(0,), state=None, **options):
    train.run(toy.identity(*arguments, **options), list(seeds), folder, state, "cpu")
    return {name: (folder / name).read_bytes() for name in PAYLOADS}


def recall_at_1(path, seed):
    split = class_split(toy.dataset(), Data(train_classes=3), seed)
    images = split.test.view()
    embeddings = checkpoints.load(path, seed, "conv", 1, 8)(images)
    cosine = (embeddings @ embeddings.T).fill_diagonal_(-2)
    labels = torch.from_numpy(split.test_labels)
    return (labels[cosine.argmax(dim=1)] == labels).double().mean().item()


@pytest.mark.parametrize("defense", names("defense"))
def test_training_lowers_the_loss_and_separates_unseen_classes(tmp_path, defense):
    loss = "triplet" if resolve("defense", defense).needs == "triplets" else "proxy_anchor"
    options = {"loss": loss, "loss_options": {}} if loss == "triplet" else {}
    fit(tmp_path, defense, 2 if defense == "eat" else 1, epochs=12, **options)
    table = pd.read_parquet(tmp_path / "training.parquet")
    assert list(table.columns) == ["seed", "epoch", "member", "loss", "passes"]
    assert table["loss"].iloc[-1] < table["loss"].iloc[0] * 0.95
    assert recall_at_1(tmp_path / "model.safetensors", 0) > 0.8


def test_distances_are_those_of_the_trained_network(tmp_path):
    fit(tmp_path, "none", epochs=2)
    table = pd.read_parquet(tmp_path / "spread.parquet")
    assert list(table.columns) == ["seed", "epoch", "member", "distance"]
    assert table["epoch"].tolist() == [0, 1]
    split = class_split(toy.dataset(), Data(train_classes=3, train_per_class=20), 0)
    images = split.train.view()  # fewer than the probe: all of them
    embeddings = checkpoints.load(tmp_path / "model.safetensors", 0, "conv", 1, 8)(images)
    pairs = [(a - b).norm() for i, a in enumerate(embeddings) for b in embeddings[:i]]
    assert table["distance"].iloc[-1] == pytest.approx(torch.stack(pairs).mean().item(), rel=1e-5)


def test_the_same_inputs_give_the_same_bytes_and_another_seed_does_not(tmp_path):
    one = fit(tmp_path / "a", "mixup")
    assert fit(tmp_path / "b", "mixup") == one
    assert fit(tmp_path / "c", "mixup", seeds=(1,))["model.safetensors"] != one["model.safetensors"]


def test_a_seed_does_not_depend_on_the_others_in_its_block(tmp_path):
    fit(tmp_path / "block", "at", seeds=(3, 5))
    fit(tmp_path / "alone", "at", seeds=(5,))
    block, alone = (load_file(tmp_path / n / "model.safetensors") for n in ("block", "alone"))
    assert len(alone) * 2 == len(block)
    assert all(torch.equal(block[key], value) for key, value in alone.items())


def test_ensemble_controls_have_members_of_their_own_and_share_their_first(tmp_path):
    fit(tmp_path / "x3", "at", 3)
    fit(tmp_path / "x1", "at")
    three, one = (load_file(tmp_path / n / "model.safetensors") for n in ("x3", "x1"))
    for key, value in one.items():
        assert torch.equal(three[key], value)
    first, second = "seed0.member0.head.linear.weight", "seed0.member1.head.linear.weight"
    assert not torch.equal(three[first], three[second])


def test_eat_of_one_member_is_adversarial_training(tmp_path):
    at = fit(tmp_path / "at", "at")
    for how in ("own", "ensemble"):
        assert fit(tmp_path / how, "eat", 1, {"self_transfer": how, "parts_per_member": 1}) == at
    assert fit(tmp_path / "clean", "eat", 1, {"clean_weight": 1.0}) != at


def test_eats_switches_change_the_model(tmp_path):
    made = [
        fit(tmp_path / str(number), "eat", 3, options)["model.safetensors"]
        for number, options in enumerate(
            [
                {},
                {"parts_per_member": 3},
                {"parts_per_member": 1},
                {"split_unit": "class"},
                {"self_transfer": "own"},
                {"self_transfer": "peer"},
                {"self_transfer": "all"},
                {"clean_weight": 0.5},
            ]
        )
    ]
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v2"])
def test_the_large_networks_train_too(tmp_path, architecture):
    identity = toy.identity("at", epochs=1) | {"architecture": architecture}
    train.run(identity, [0], tmp_path, None, "cpu")
    assert len(checkpoints.load(tmp_path / "model.safetensors", 0, architecture, 1, 8).members) == 1


def test_the_balanced_sampler_is_used(tmp_path):
    assert fit(tmp_path / "a", sampler="balanced") != fit(tmp_path / "b", sampler="random")


def test_the_budget_counts_passes_per_image(tmp_path):
    fit(tmp_path, "at", 2, epochs=2)  # 60 images, batch 24: 48 used per epoch; 2 attack steps + 1
    table = pd.read_parquet(tmp_path / "training.parquet")
    assert table["passes"].tolist() == pytest.approx([2 * 3 * 0.8, 2 * 3 * 0.8, 4 * 3 * 0.8, 4 * 3 * 0.8])
    assert table["member"].tolist() == [0, 1, 0, 1]
    sidecar = read_sidecar(tmp_path / "training.parquet")
    cost = sidecar["cost"]["per_seed"]
    assert cost["passes_per_image"] == {"0": pytest.approx(9.6)}
    assert sidecar["device"]
    assert cost["seconds_per_epoch"]["0"] >= 0
    assert sidecar["config"]["identity"]["method"]["defense"] == "at"


def test_global_random_state_is_neither_used_nor_moved(tmp_path):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = fit(tmp_path / "a", "mixup")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert fit(tmp_path / "b", "mixup") == one


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path):
    """12 steps per seed; SIGKILL at a random step of the first seed, and again of the second."""
    command = moments.python(toy.__file__, tmp_path / "killed", tmp_path / "state", "eat", 2, 0, 1)
    train.run(toy.identity("eat", 2, epochs=6), [0, 1], tmp_path / "whole", None, "cpu")
    for seed in (0, 1):
        moments.kill_at(f"step {seed} {random.randrange(2, 11)}", command)
        assert not (tmp_path / "killed" / "model.safetensors").exists()
        assert (tmp_path / "state" / f"seed-{seed}.state").exists()
    out, err = moments.finish(command)
    assert err.count("resuming from") == 2
    assert 1 <= out.count("step") < 12  # the first seed was finished, the second begun
    assert "imported torch._dynamo" not in out
    for name in PAYLOADS:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert list((tmp_path / "state").glob("*.state")) == []


def test_a_state_of_another_configuration_is_refused(tmp_path, monkeypatch, capsys):
    state = tmp_path / "state"

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(weights, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "a", "none", state=state)
    assert (state / "seed-0.state").exists()
    capsys.readouterr()
    resumed = fit(tmp_path / "b", "none", state=state, lr=2e-3)
    assert "another configuration" in capsys.readouterr().err
    assert resumed == fit(tmp_path / "c", "none", lr=2e-3)


@pytest.mark.parametrize("defense", ["none", "at"])
def test_a_loss_that_is_not_finite_is_reported_with_its_trial(tmp_path, defense):
    with pytest.raises(GauntletError) as caught:
        fit(tmp_path, defense, seeds=(4,), lr=1e30, epochs=5)
    for part in ("not finite", "digits", "conv", defense, "seed 4", "epoch"):
        assert part in str(caught.value)
    assert not (tmp_path / "model.safetensors").exists()


def test_bad_identities_name_the_key(tmp_path):
    with pytest.raises(GauntletError, match=r"train\.epochs"):
        fit(tmp_path, epochs=0)
    with pytest.raises(GauntletError, match="did you mean 'mixup'"):
        fit(tmp_path, "mixupp")
    with pytest.raises(GauntletError, match=r"method\.options.*'betta'"):
        fit(tmp_path, "trades", 1, {"betta": 1})
    with pytest.raises(GauntletError, match=r"method\.options"):
        fit(tmp_path, "at", 1, {"beta": 1})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"eps": 1.5}, "train.eps"),
        ({"eps": 0.0}, "train.eps"),
        ({"eps": -0.1}, "train.eps"),
        ({"eps": float("nan")}, "train.eps"),
        ({"step": 0.0}, "train.step"),
        ({"step": -0.01}, "train.step"),
        ({"step": 2.0}, "train.step"),
        ({"steps": 0}, "train.steps"),
        ({"lr": float("inf")}, "train.lr"),
    ],
)
def test_budgets_outside_the_pixel_range_name_the_key(tmp_path, changes, key):
    with pytest.raises(GauntletError, match=f"identity: {key}: "):
        fit(tmp_path, "at", **changes)


TRIPLETS = {"loss": "triplet", "loss_options": {}}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"data": {"train_per_class": 1}}, "data.train_per_class"),
        ({"data": {"train_classes": 1}}, "data.train_classes"),
        ({"sampler": "balanced", "batch": 3, "per_class": 1}, "train.per_class"),
        ({"sampler": "balanced", "batch": 4, "per_class": 4}, "train.batch"),
    ],
)
def test_batches_without_positives_are_refused_before_training(tmp_path, monkeypatch, changes, key):
    monkeypatch.setattr(train, "build", lambda *a: pytest.fail("a network was made"))
    for loss in ("triplet", "contrastive"):
        with pytest.raises(GauntletError, match=f"^{key}: "):
            fit(tmp_path, **{**TRIPLETS, **changes, "loss": loss})


def test_a_random_batch_without_positives_is_reported_with_its_trial(tmp_path):
    """By chance: of 3 random images of 60 in 3 classes, sooner or later all are of one class or of three."""
    with pytest.raises(GauntletError, match=r"(?s)train\.sampler: .*no triplets.*seed 0.*balanced"):
        fit(tmp_path, batch=3, epochs=5, **TRIPLETS)


@pytest.mark.parametrize("defense", names("defense"))
@pytest.mark.parametrize("loss", ["triplet", "contrastive"])
def test_mining_that_finds_nothing_is_no_nan(tmp_path, monkeypatch, defense, loss):
    if resolve("defense", defense).needs == "proxies":
        with pytest.raises(GauntletError, match="defined for losses with proxies"):
            fit(tmp_path, defense, epochs=1, **{**TRIPLETS, "loss": loss})
        return
    nothing = torch.zeros(0, dtype=torch.int64)
    monkeypatch.setitem(mining.MINERS, "distance_weighted", lambda *_: (nothing,) * 3)
    fit(tmp_path, defense, 2 if defense == "eat" else 1, epochs=1, **{**TRIPLETS, "loss": loss})
    assert all(torch.isfinite(value).all() for value in load_file(tmp_path / "model.safetensors").values())
    losses = pd.read_parquet(tmp_path / "training.parquet")["loss"]
    assert losses.notna().all()
