"""Federations that share distilled samples: what is trained, exchanged, written down and refused."""

import base64
import io
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from toy_distilled import SMALL, TABLES, identity, played, simulation

from gauntlet.core.errors import GauntletError
from gauntlet.core.provenance import read_sidecar
from gauntlet.core.registry import names
from gauntlet.core.seeds import torch_generator
from gauntlet.families import weights
from gauntlet.families.distilled import settings, train

#: Numbers in a digit with its soft label; and of convnet2 on digits.
SAMPLE, MODEL = 64 + 10, 10_986


def trained(out, folder, *arguments, seeds=(0,), **changes):
    train.run(identity(*arguments, **changes), list(seeds), out, None, "cpu", folder)
    return {name: pd.read_parquet(out / f"{name}.parquet") for name in TABLES}


def network(simulated, state):
    net = simulated.new("init")
    net.load_state_dict(state)
    return net.eval()


def correct(net, images):
    with torch.no_grad():
        right = net(images.pixels).argmax(1) == images.labels
    return torch.bincount(images.labels[right], minlength=10).tolist()


def test_every_method_is_tested():
    assert set(SMALL) == set(names("distillation"))


@pytest.mark.parametrize("method", SMALL)
def test_a_cell_leaves_its_model_its_tables_and_what_it_cost(tmp_path, folder, digits, method):
    tables = trained(tmp_path, folder, method, seeds=(0, 1))
    kept = weights.read(tmp_path / "model.safetensors", 1)
    simulated = simulation(digits, method, seed=1)
    theta = {name: value for name, value in kept.items() if not name.startswith(("distilled.", "client"))}
    rounds = tables["rounds"]
    assert rounds[["seed", "round", "label"]].drop_duplicates().shape[0] == len(rounds) == 2 * 2 * 10
    models = 3 if method == "local" else 1
    assert (rounds["total"] == 15 * models).all()
    if method == "local":
        states = [
            {
                name.removeprefix(f"client{k}."): value
                for name, value in kept.items()
                if name.startswith(f"client{k}.")
            }
            for k in range(3)
        ]
        assert not theta
    else:
        states = [theta]
    last = rounds[(rounds["seed"] == 1) & (rounds["round"] == 2)].sort_values("label")["correct"]
    expected = np.sum([correct(network(simulated, state), simulated.world.test) for state in states], axis=0)
    assert last.tolist() == expected.tolist()

    training = tables["training"]
    assert training["epoch"].tolist() == [0, 1] * 2
    assert (training.groupby("seed")["passes"].diff().dropna() > 0).all()
    assert training["loss"].isna().all() == (method == "random_real")
    assert tables["clients"].groupby("seed")["samples"].sum().tolist() == [120, 120]
    sidecar = read_sidecar(tmp_path / "model.safetensors")
    exchange = tables["exchange"].groupby("seed")[["up_bytes", "down_bytes"]].sum()
    for name in ("up_bytes", "down_bytes"):
        assert sidecar["cost"]["per_seed"][name] == {"0": exchange[name][0], "1": exchange[name][1]}
    assert ("update_seconds" in sidecar["cost"]["per_seed"]) == (method not in ("random_real", "local"))


def test_the_federation_learns(digits):
    """Half of the test digits or more with a few samples each; a tenth is chance."""
    many = {"per_class": 40}
    options = {
        "bilevel": {"iterations": 40, "inner": 5, "step": 0.5},
        "gradient_matching": {"iterations": 20, "per_class": 2},
        "distribution_matching": {"iterations": 40},
        "random_real": {},
        "local": {},
    }
    for method, changes in options.items():
        rows = played(simulation(digits, method, many, changes, steps=40)).rows["rounds"][-10:]
        assert sum(row["correct"] for row in rows) > 0.5 * sum(row["total"] for row in rows), method


def test_bytes_by_hand(digits):
    """3 clients, 2 samples of each of 10 classes, 2 step sizes; the first model is sent once."""
    rows = played(simulation(digits)).rows["exchange"]
    own = 4 * (20 * SAMPLE + 2)
    joined = 4 * (60 * SAMPLE + 2)
    assert [row["up_bytes"] for row in rows] == [3 * own] * 2
    assert [row["down_bytes"] for row in rows] == [3 * (joined + 4 * MODEL), 3 * joined]
    assert all(np.isnan(row["epsilon"]) for row in rows)
    rows = played(simulation(digits, "distribution_matching")).rows["exchange"]
    assert [row["up_bytes"] for row in rows] == [3 * 4 * 20 * SAMPLE] * 2
    rows = played(simulation(digits, "random_real")).rows["exchange"]
    assert [row["up_bytes"] for row in rows] == [3 * 4 * 20 * SAMPLE, 0]
    assert [row["down_bytes"] for row in rows] == [3 * 4 * (60 * SAMPLE + MODEL), 0]
    rows = played(simulation(digits, "local")).rows["exchange"]
    assert [(row["up_bytes"], row["down_bytes"]) for row in rows] == [(0, 0)] * 2


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("method", ["bilevel", "distribution_matching"])
def test_the_last_model_is_sgd_on_what_was_shared(digits, method, restart):
    """By torch's own optimiser, from what the weights file keeps."""
    simulated = simulation(digits, method, restart=restart)
    while simulated.round < 1:
        simulated.advance()
    start = simulated.first if restart else deepcopy(simulated.model)
    kept = played(simulated).outcome().weights
    net = network(simulated, start).train()
    steps = kept["distilled.steps"].tolist() or [0.2] * 10
    assert len(steps) == (2 if method == "bilevel" else 10)
    for lr in steps:
        net.zero_grad()
        F.cross_entropy(net(kept["distilled.images"]), kept["distilled.labels"]).backward()
        torch.optim.SGD(net.parameters(), lr=lr).step()
    for name, value in net.named_parameters():
        torch.testing.assert_close(kept[name], value.detach(), rtol=1e-3, atol=2e-4)
        assert not torch.equal(kept[name], start[name])


def test_every_sample_says_whose_and_what_it_is(digits):
    """Dirichlet owners that lack classes share none of these."""
    data = {"partition": "dirichlet", "options": {"alpha": 0.1}}
    simulated = played(simulation(digits, "distribution_matching", data, seed=2))
    histograms, kept = simulated.world.histograms, simulated.outcome().weights
    assert (histograms == 0).any()
    found = np.zeros_like(histograms)
    np.add.at(found, (kept["distilled.client"].numpy(), kept["distilled.class"].numpy()), 1)
    assert (found == 2 * (histograms > 0)).all()
    assert torch.equal(kept["distilled.labels"].argmax(1), kept["distilled.class"])
    assert simulated.rows["exchange"][0]["up_bytes"] == 4 * SAMPLE * found.sum()
    shown = simulated.rows["samples"]
    assert len(shown) == (histograms > 0).sum()
    assert [row["index"] for row in shown] == list(range(len(shown)))
    for row in shown:
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(row["png"]))))
        images = kept["distilled.images"][kept["distilled.class"] == row["label"]]
        drawn = (images[:, 0] * 255).round().numpy()
        assert any((one == pixels).all() for one in drawn)


def test_random_real_shares_images_of_each_client_alone(digits):
    simulated = played(simulation(digits, "random_real", data={"per_class": 30}))
    kept, images = simulated.outcome().weights, simulated.world.train
    for image, label, client in zip(
        kept["distilled.images"], kept["distilled.class"], kept["distilled.client"], strict=True
    ):
        rows = simulated.world.rows[client]
        same = rows[(images.pixels[rows] == image).flatten(1).all(1)]
        assert label in images.labels[same]


def test_clients_that_share_nothing_train_alone(digits):
    """Against a loop of torch's SGD over each client's own batches."""
    simulated = played(simulation(digits, "local", options={"epochs": 2, "weight_decay": 1e-3}))
    total = 0
    for client, rows in enumerate(simulated.world.rows):
        net = network(simulated, simulated.first).train()
        for round in (1, 2):
            optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.5, weight_decay=1e-3)
            generator = torch_generator(0, "batches", round, client)
            for _ in range(2):
                for some in rows[torch.randperm(len(rows), generator=generator)].split(8):
                    optimiser.zero_grad()
                    images = simulated.world.train
                    F.cross_entropy(net(images.pixels[some]), images.labels[some]).backward()
                    optimiser.step()
        for name, value in net.named_parameters():
            torch.testing.assert_close(simulated.models[client][name], value.detach(), rtol=1e-4, atol=1e-6)
        total += sum(correct(net.eval(), simulated.world.test))
    assert sum(row["correct"] for row in simulated.rows["rounds"][-10:]) == total
    assert simulated.rows["training"][-1]["passes"] == 4


def test_all_methods_of_a_seed_start_from_one_model_and_one_world(digits):
    found = [simulation(digits, method) for method in SMALL]
    for one in found[1:]:
        assert all(torch.equal(value, one.first[name]) for name, value in found[0].first.items())
        assert torch.equal(one.world.train.pixels, found[0].world.train.pixels)
        assert all(torch.equal(a, b) for a, b in zip(one.world.rows, found[0].world.rows, strict=True))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    played(simulation(digits, "distribution_matching"))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_cannot_be_is_refused(digits):
    with pytest.raises(GauntletError, match="cnn2_bn has running statistics") as caught:
        simulation(digits, architecture="cnn2_bn")
    assert caught.value.key == "architecture"
    with pytest.raises(GauntletError, match="'inwards'") as caught:
        simulation(digits, options={"inwards": 3})
    assert caught.value.key == "method.options"
    with pytest.raises(GauntletError, match=r"training on the shared samples diverged .*round 1") as caught:
        played(simulation(digits, "random_real", lr=1e30))
    assert caught.value.key == "train.lr"
    with pytest.raises(GauntletError, match="the training of client 0 diverged") as caught:
        played(simulation(digits, "local", options={"lr": 1e30}))
    assert caught.value.key == "method.options.lr"


def test_the_digest_of_a_training_covers_its_method_alone():
    from gauntlet.core.digest import code_digest

    digests = {
        name: code_digest("gauntlet.families.distilled.train", methods=settings.train_methods(what))
        for name in SMALL
        for what in [
            {
                "architecture": "convnet2",
                "data": {"partition": "iid"},
                "method": {"distillation": name},
            }
        ]
    }
    assert len(set(digests.values())) == len(SMALL)
    assert settings.model_label({"distillation": "bilevel"}) == "bilevel"
