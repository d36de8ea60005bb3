"""What a training job writes, and that nothing else moves it."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from toy_federated import TABLES, identity, simulation

from gauntlet.core.errors import GauntletError
from gauntlet.core.provenance import read_sidecar
from gauntlet.core.registry import names
from gauntlet.core.tables.every import COLUMNS
from gauntlet.families.federated import settings, train

PAYLOADS = ("model.safetensors", *(f"{name}.parquet" for name in TABLES))
CREDIT = ["shapley_accuracy", "shapley_loss", "influence_accuracy", "influence_loss"]


@pytest.fixture
def fit(folder, tmp_path):
    """Runs a job; returns its folder."""
    made = iter(range(100))

    def run(*arguments, seeds=(0,), **changes):
        out = tmp_path / f"run-{next(made)}"
        train.run(identity(*arguments, **changes), list(seeds), out, None, "cpu", folder)
        return out

    return run


def payloads(out):
    return {name: (out / name).read_bytes() for name in PAYLOADS}


def table(out, name):
    return pd.read_parquet(out / f"{name}.parquet")


def same(one, two):
    pd.testing.assert_frame_equal(one.reset_index(drop=True), two.reset_index(drop=True), check_exact=True)


def test_the_family_says_which_tables_it_writes():
    assert settings.TABLES == {"train": TABLES}


def test_tables_have_their_columns_and_a_row_for_everything(fit, digits):
    out = fit("fedemd", seeds=(0, 2), epochs=2, data={"options": {"mavericks": 2}})
    for name in TABLES:
        schema = pq.read_schema(out / f"{name}.parquet")
        assert schema.names == list(COLUMNS[name])
        for column, kind in COLUMNS[name].items():
            assert str(schema.field(column).type) == {"float64": "double", "str": "string"}.get(kind, kind)

    clients = table(out, "clients")
    assert clients[["seed", "client", "label"]].to_numpy().tolist() == [
        [seed, client, label] for seed in (0, 2) for client in range(6) for label in range(10)
    ]
    assert clients.groupby("seed")["samples"].sum().tolist() == [240, 240]
    assert clients.groupby("client")["maverick"].unique().map(list).tolist() == [[False]] * 4 + [[True]] * 2
    owned = clients[clients["label"] == 0].groupby("client")["samples"].sum().tolist()
    assert owned == [0, 0, 0, 0, 48, 0]

    rounds = table(out, "rounds")
    assert rounds[["seed", "round", "label"]].to_numpy().tolist() == [
        [seed, round, label] for seed in (0, 2) for round in range(1, 5) for label in range(10)
    ]
    assert (rounds["total"] == 20).all()
    assert ((rounds["correct"] >= 0) & (rounds["correct"] <= rounds["total"])).all()
    assert rounds["loss"].between(0, 50).all()

    picks, sizes = table(out, "picks"), clients.groupby(["seed", "client"])["samples"].sum()
    assert picks.groupby(["seed", "round"])["picked"].sum().tolist() == [3] * 8
    assert (picks["used"] == picks["picked"]).all()
    assert (picks["loss"].isna() == ~picks["picked"]).all()
    for _, of_round in picks.groupby(["seed", "round"]):
        assert of_round["client"].is_monotonic_increasing
        assert set(of_round["client"]) == {*of_round.loc[of_round["picked"], "client"], 4, 5}
    assert picks["samples"].tolist() == [
        sizes[key] for key in zip(picks["seed"], picks["client"], strict=True)
    ]
    assert picks["weight"].between(0, 1, inclusive="neither").all()
    assert picks[CREDIT].isna().all(axis=None)

    training = table(out, "training")
    assert training[["seed", "epoch", "member"]].to_numpy().tolist() == [
        [seed, epoch, 0] for seed in (0, 2) for epoch in range(4)
    ]
    used = picks[picks["used"]].groupby(["seed", "round"])
    weighted = used.apply(lambda rows: np.average(rows["loss"], weights=rows["samples"]))
    assert training["loss"].tolist() == pytest.approx(weighted.tolist())
    passes = used["samples"].sum().groupby("seed").cumsum() * 2 / 240
    assert training["passes"].tolist() == pytest.approx(passes.tolist())


def test_the_model_and_its_scores_are_the_last_rounds(fit, digits):
    out = fit(seeds=(0, 3))
    tensors = load_file(out / "model.safetensors")
    for seed in (0, 3):
        simulated = simulation(digits, seed=seed)
        state = {name: tensors[f"seed{seed}.{name}"] for name in simulated.model}
        net = simulated.net
        net.load_state_dict({**net.state_dict(), **state})
        net.eval()
        images = simulated.world.test
        right = net(images.pixels).argmax(dim=1) == images.labels
        rounds = table(out, "rounds").query("seed == @seed and round == 4")
        assert rounds["correct"].tolist() == torch.bincount(images.labels[right], minlength=10).tolist()
    assert len(tensors) == 2 * len(state)


@pytest.mark.parametrize("test_per_class", [None, 3])
def test_classes_add_up_to_the_test_set(fit, digits, test_per_class):
    rounds = table(fit(rounds=2, data={"test_per_class": test_per_class}), "rounds")
    counts = np.bincount(digits.test.labels) if test_per_class is None else np.full(10, test_per_class)
    for _, of_round in rounds.groupby("round"):
        assert of_round["total"].tolist() == counts.tolist()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(fit):
    one = payloads(fit("svb"))
    assert payloads(fit("svb")) == one
    assert not set(one.values()) & set(payloads(fit("svb", seeds=(1,))).values())


def test_more_seeds_move_no_other_seed(fit):
    block, alone = fit("svb", seeds=(1, 2)), fit("svb", seeds=(2,))
    many, one = (load_file(out / "model.safetensors") for out in (block, alone))
    assert len(many) == 2 * len(one)
    assert all(torch.equal(many[name], value) for name, value in one.items())
    for name in TABLES:
        whole = table(block, name)
        same(whole[whole["seed"] == 2], table(alone, name))


@pytest.mark.parametrize("selection", ["fedemd", "svb"])
def test_more_rounds_move_no_earlier_round(fit, selection):
    few, many = fit(selection, rounds=3), fit(selection, rounds=5)
    for name in ("rounds", "picks"):
        longer = table(many, name)
        same(longer[longer["round"] <= 3], table(few, name))
    same(table(many, "training").head(3), table(few, "training"))
    same(table(many, "clients"), table(few, "clients"))


def test_measuring_contributions_changes_nothing_else(fit):
    quiet, loud = fit("fedemd"), fit("fedemd", method={"contributions": "always"})
    for name in ("model.safetensors", "rounds.parquet", "training.parquet", "clients.parquet"):
        assert (quiet / name).read_bytes() == (loud / name).read_bytes()
    silent, measured = table(quiet, "picks"), table(loud, "picks")
    same(silent.drop(columns=CREDIT), measured.drop(columns=CREDIT))
    assert (measured[CREDIT].isna().all(axis=1) == ~measured["used"]).all()
    assert not measured.loc[measured["used"], CREDIT].isna().any(axis=None)
    assert measured["shapley_loss"].std() > 1e-3


def test_contributions_are_measured_where_a_maverick_took_part(fit):
    picks = table(fit(method={"contributions": "maverick"}, rounds=8), "picks")
    joined = picks.groupby("round").apply(lambda rows: bool(rows.loc[rows["client"] == 5, "used"].item()))
    assert 0 < joined.sum() < 8
    measured = picks[CREDIT].notna().all(axis=1)
    assert (measured == (picks["used"] & picks["round"].map(joined))).all()
    always = table(fit(method={"contributions": "always"}, rounds=8), "picks")
    same(picks[measured], always[measured])


def test_methods_that_need_contributions_have_them(fit):
    for selection in ("svb", "greedyfed"):
        picks = table(fit(selection, rounds=2), "picks")
        assert picks.loc[picks["used"], CREDIT].notna().all(axis=None)


@pytest.mark.parametrize("selection", ["random", "fedemd", "always", "never", "fedfast"])
def test_selection_alone_makes_the_same_picks_without_training(fit, selection, digits):
    learned, selected = fit(selection, rounds=6), fit(selection, rounds=6, learn=False)
    columns = ["seed", "round", "client", "picked", "used", "samples", "weight"]
    same(table(selected, "picks")[columns], table(learned, "picks")[columns])
    assert table(selected, "picks")[["loss", *CREDIT]].isna().all(axis=None)
    same(table(selected, "clients"), table(learned, "clients"))
    assert len(table(selected, "rounds")) == len(table(selected, "training")) == 0
    untrained = load_file(selected / "model.safetensors")
    start = simulation(digits, selection).model
    assert all(torch.equal(untrained[f"seed0.{name}"], value) for name, value in start.items())


@pytest.mark.parametrize("selection", ["greedyfed", "power_of_choice", "svb", "tifl"])
def test_methods_that_learn_need_training(fit, selection):
    with pytest.raises(GauntletError, match=selection) as caught:
        fit(selection, learn=False)
    assert caught.value.key == "train.learn"


def test_constants_need_no_training(fit):
    picks = table(fit("svb", options={"svb_mode": "released"}, learn=False, rounds=30), "picks")
    owner = picks[picks["client"] == 5]
    assert len(owner) == 30
    assert owner["weight"].between(0.015 / (0.015 + 5 * 0.0211), 0.015 / (0.015 + 5 * 0.0201)).all()


@pytest.mark.parametrize("selection", names("selection"))
def test_every_selection_learns_the_digits(fit, selection):
    rounds = table(fit(selection, rounds=10, lr=0.1), "rounds").groupby("round")["correct"].sum() / 200
    assert rounds.iloc[-1] > 0.5
    assert rounds.iloc[-1] > rounds.iloc[0]


def test_never_picking_the_maverick_leaves_its_class_unknown(fit):
    recall = {
        selection: table(fit(selection, rounds=8, lr=0.1), "rounds").query("label == 1 and round == 8")
        for selection in ("never", "always")
    }
    assert recall["never"]["correct"].item() == 0
    assert recall["always"]["correct"].item() > 10


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"selected": 7}, "train.selected"),
        ({"rounds": 0}, "train.rounds"),
        ({"lr": 0.0}, "train.lr"),
        ({"decay": 1.5}, "train.decay"),
        ({"momentum": 1.0}, "train.momentum"),
        ({"least_lr": -1.0}, "train.least_lr"),
        ({"schedule": "step"}, "train.schedule"),
        ({"mode": "parallel"}, "train.mode"),
        ({"method": {"proximal": -0.1}}, "method.proximal"),
        ({"method": {"contributions": "never"}}, "method.contributions"),
        ({"data": {"clients": 0}}, "data.clients"),
        ({"data": {"held_out": -1}}, "data.held_out"),
        ({"data": {"held_out": 142}}, "data.held_out"),
        ({"data": {"per_class": 0}}, "data.per_class"),
        ({"data": {"options": {"mavericks": 6}}}, "data.options.mavericks"),
        ({"data": {"held_out": 0}, "method": {"contributions": "always"}}, "data.held_out"),
        ({"lr": 1e30}, "train.lr"),
    ],
    ids=str,
)
def test_bad_identities_name_their_key_and_write_nothing(fit, tmp_path, changes, key):
    with pytest.raises(GauntletError) as caught:
        fit(**changes)
    assert caught.value.key == key
    assert not list(tmp_path.rglob("*.*"))


def test_shapley_values_need_the_servers_images(fit):
    for selection in ("svb", "greedyfed"):
        with pytest.raises(GauntletError, match="server's images") as caught:
            fit(selection, data={"held_out": 0})
        assert caught.value.key == "data.held_out"


def test_sidecars_say_what_the_job_was_and_what_it_cost(fit):
    out = fit("fedemd", seeds=(0, 1), rounds=2)
    for name in PAYLOADS:
        sidecar = read_sidecar(out / name)
        assert sidecar["config"]["identity"]["method"]["selection"] == "fedemd"
        assert sidecar["config"]["seeds"] == [0, 1]
        assert sidecar["device"]
        cost = sidecar["cost"]["per_seed"]
        assert cost.keys() >= {"federator_seconds", "train_seconds", "test_seconds"}
        assert all(seconds.keys() == {"0", "1"} for seconds in cost.values())
