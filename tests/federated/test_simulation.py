"""Whole federations in memory: against the plain loop that papers release, and what depends on what."""

import io
from copy import deepcopy

import numpy as np
import pytest
import torch
from toy_federated import played, simulation

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names, resolve
from gauntlet.core.seeds import numpy_generator, torch_generator
from gauntlet.families.federated.local import Update
from gauntlet.models.copies import state_of


class Client:
    """As papers release it: images, a network and, for every participation, an optimiser of its own."""

    def __init__(self, number, net, pixels, labels):
        self.number, self.net, self.pixels, self.labels = number, deepcopy(net), pixels, labels
        self.times = 0

    def train(self, state, train, seed, round):
        self.net.load_state_dict(deepcopy(state))
        self.net.train()
        count = round - 1 if train.schedule == "round" else self.times
        lr = train.lr * train.decay ** (count // train.decay_every)
        optimiser = torch.optim.SGD(
            self.net.parameters(), lr=lr, momentum=train.momentum, weight_decay=train.weight_decay
        )
        generator = torch_generator(seed, "batches", round, self.number)
        for _ in range(train.epochs):
            order = torch.randperm(len(self.labels), generator=generator)
            for first in range(0, len(order), train.batch):
                rows = order[first : first + train.batch]
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(self.net(self.pixels[rows]), self.labels[rows]).backward()
                optimiser.step()
        self.times += 1
        return deepcopy(self.net.state_dict())


def naive(simulated, seed):
    """Correct test images per class after every round, and the last global model."""
    built, train = simulated.world, simulated.train
    net, history = deepcopy(simulated.net), []
    clients = [
        Client(number, net, built.train.pixels[rows], built.train.labels[rows])
        for number, rows in enumerate(built.rows)
    ]
    for round in range(1, train.rounds + 1):
        draws = 1 - numpy_generator(seed, "selection", round).random((2, len(clients)))[0]
        picked = sorted(np.argsort(draws)[-train.selected :].tolist())
        states = [clients[k].train(net.state_dict(), train, seed, round) for k in picked]
        sizes = [len(clients[k].labels) for k in picked]
        if simulated.what.method.aggregation == "uniform":
            sizes = [1] * len(picked)
        merged = {}
        for name, value in net.state_dict().items():
            if not value.is_floating_point():  # BatchNorm's counter of batches
                merged[name] = value
                continue
            merged[name] = states[0][name] * (sizes[0] / sum(sizes))
            for size, state in zip(sizes[1:], states[1:], strict=True):
                merged[name].add_(state[name], alpha=size / sum(sizes))
        net.load_state_dict(merged)
        net.eval()
        with torch.no_grad():
            right = net(built.test.pixels).argmax(dim=1) == built.test.labels
        history.append(torch.bincount(built.test.labels[right], minlength=10).tolist())
    return history, net


@pytest.mark.parametrize(
    ("aggregation", "changes"),
    [
        ("fedavg", {"schedule": "round", "epochs": 2}),
        ("uniform", {"schedule": "participation", "weight_decay": 1e-3}),
        ("fedavg", {"data": {"partition": "dirichlet", "options": {"alpha": 0.5}}, "batch": 7}),
    ],
)
def test_a_sequential_federation_is_the_plain_loop_bit_for_bit(digits, aggregation, changes):
    recipe = {"rounds": 5, "decay_every": 2, "decay": 0.5, "mode": "sequential", **changes}
    simulated = simulation(digits, method={"aggregation": aggregation}, seed=3, **recipe)
    history, net = naive(simulated, 3)
    played(simulated)
    found = np.array([row["correct"] for row in simulated.rows["rounds"]]).reshape(5, 10)
    assert found.tolist() == history
    for name, value in state_of(net).items():
        assert torch.equal(simulated.model[name], value), name
    assert history[-1] != history[0]
    assert found[-1].sum() > 60  # of 200


@pytest.mark.parametrize("selection", ["random", "fedemd", "always", "fedfast"])
@pytest.mark.parametrize("proximal", [0.0, 0.1])
def test_both_modes_pick_the_same_clients_and_agree_in_accuracy(digits, selection, proximal):
    """Sums are rounded in another order: within 2 % of the test images in every round."""
    tables = [
        played(simulation(digits, selection, method={"proximal": proximal}, mode=mode, rounds=6)).rows
        for mode in ("stacked", "sequential")
    ]
    picks = [[(row["round"], row["client"], row["picked"]) for row in rows["picks"]] for rows in tables]
    assert picks[0] == picks[1]
    correct = [
        np.array([row["correct"] for row in rows["rounds"]]).reshape(6, 10).sum(axis=1) for rows in tables
    ]
    assert np.abs(correct[0] - correct[1]).max() <= 4
    assert correct[0][-1] > 60
    losses = [[row["loss"] for row in rows["training"]] for rows in tables]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


@pytest.mark.parametrize("selection", names("selection"))
def test_a_restored_simulation_goes_on_bit_for_bit(digits, selection):
    recipe = {"rounds": 7, "schedule": "participation", "decay_every": 2}
    whole = simulation(digits, selection, **recipe)
    for _ in range(3):
        whole.round += 1
        whole.play()
    saved = io.BytesIO()
    torch.save(whole.state(), saved)
    saved.seek(0)
    restored = simulation(digits, selection, **recipe)
    restored.restore(torch.load(saved, weights_only=True))
    assert restored.round == 3
    played(whole), played(restored)
    assert repr(restored.rows) == repr(whole.rows)
    for name, value in whole.model.items():
        assert torch.equal(restored.model[name], value), name
    assert len(whole.rows["training"]) == 7


def spied(simulated):
    """Records what every round hands to local training and to the selection."""
    rounds, reports = [], []
    train, observe = simulated.local.train, simulated.selection.observe

    def spy(start, tasks):
        updates = train(start, tasks)
        rounds.append(([(task.lr, [order.tolist() for order in task.orders]) for task in tasks], updates))
        return updates

    simulated.local.train = spy
    simulated.selection.observe = lambda report: (reports.append(report), observe(report))
    return rounds, reports


def test_rates_follow_rounds_or_participations(digits):
    for schedule in ("round", "participation"):
        simulated = simulation(
            digits, schedule=schedule, rounds=9, decay_every=2, decay=0.5, least_lr=0.01, lr=0.08
        )
        rounds, reports = spied(simulated)
        played(simulated)
        times = np.zeros(6, dtype=int)
        for round, ((tasks, _), report) in enumerate(zip(rounds, reports, strict=True)):
            for client, (lr, _) in zip(report.clients, tasks, strict=True):
                count = round if schedule == "round" else times[client]
                assert lr == pytest.approx(max(0.08 * 0.5 ** (count // 2), 0.01))
                times[client] += 1
        assert times.sum() == 27
        assert np.ptp(times) > 0
        assert simulated.participations.tolist() == times.tolist()


def test_a_clients_batches_do_not_depend_on_who_picked_it(digits):
    seen = {}
    for selection in ("random", "always", "fedemd", "tifl"):
        simulated = simulation(digits, selection, epochs=2)
        rounds, reports = spied(simulated)
        played(simulated)
        for (tasks, _), report in zip(rounds, reports, strict=True):
            for client, (_, orders) in zip(report.clients.tolist(), tasks, strict=True):
                key = (report.round, client)
                assert seen.setdefault(key, orders) == orders
                assert sorted(orders[0]) == sorted(orders[1]) == simulated.world.rows[client].tolist()
                assert orders[0] != orders[1]
    assert 12 < len(seen) < 48
    assert len({str(orders) for (_, client), orders in seen.items() if client == 5}) == 4


def test_selections_learn_what_they_asked_for(digits):
    """Losses always; accuracies of local models on their own images and Shapley values where needed."""
    for selection in ("random", "tifl", "svb"):
        simulated = simulation(digits, selection)
        rounds, reports = spied(simulated)
        played(simulated)
        for (_, updates), report in zip(rounds, reports, strict=True):
            assert report.losses.tolist() == [update.loss for update in updates]
            assert (report.accuracies is None) == (selection != "tifl")
            assert (report.shapley is None) == (selection != "svb")
            if selection == "tifl":
                expected = []
                for client, update in zip(report.clients, updates, strict=True):
                    net, rows = deepcopy(simulated.net), simulated.world.rows[client]
                    net.load_state_dict({**net.state_dict(), **update.state})
                    logits = net.eval()(simulated.world.train.pixels[rows])
                    right = logits.argmax(dim=1) == simulated.world.train.labels[rows]
                    expected.append(right.double().mean().item())
                assert report.accuracies == pytest.approx(expected)
            if selection == "svb":
                of_round = [r for r in simulated.rows["picks"] if r["round"] == report.round and r["used"]]
                assert report.shapley.tolist() == [row["shapley_accuracy"] for row in of_round]


def test_the_probe_is_the_global_models_loss_on_a_clients_images(digits):
    simulated = played(simulation(digits, rounds=2))
    net = deepcopy(simulated.net)
    net.load_state_dict({**net.state_dict(), **simulated.model})
    net.eval()
    images = simulated.world.train
    for count in (None, 3):
        expected = []
        for client in (1, 5):
            rows = simulated.world.rows[client][:count]
            expected.append(
                torch.nn.functional.cross_entropy(net(images.pixels[rows]), images.labels[rows]).item()
            )
        assert simulated._probe(np.array([1, 5]), count) == pytest.approx(expected, rel=1e-5)


def spoilt(digits, **changes):
    """The first client of the second round, the smallest, comes back with a model that is not finite."""
    simulated = simulation(digits, "always", **changes)
    train = simulated.local.train

    def spoil(start, tasks):
        updates = train(start, tasks)
        if simulated.round == 2:
            state = {name: value.clone() for name, value in updates[0].state.items()}
            state["0.weight"][0, 0, 0, 0] = float("nan")
            updates[0] = Update(state, updates[0].loss)
        return updates

    simulated.local.train = spoil
    return simulated


@pytest.mark.parametrize("aggregation", names("aggregation"))
def test_a_client_that_diverged_is_left_out_of_its_round_and_reported(digits, capsys, aggregation):
    simulated = spoilt(digits, method={"aggregation": aggregation, "contributions": "always"})
    _, reports = spied(simulated)
    played(simulated)
    ill, *rest = [row for row in simulated.rows["picks"] if row["round"] == 2]
    said = f"seed 0 round 2: the training of client {ill['client']} diverged; left out"
    assert capsys.readouterr().err.count(said) == 1
    assert (ill["picked"], ill["used"]) == (True, False)
    assert all(np.isnan(ill[name]) for name in ("loss", "shapley_loss", "influence_accuracy"))
    assert all(row["used"] and np.isfinite(row["shapley_loss"]) for row in rest)
    assert reports[1].clients.tolist() == [row["client"] for row in rest]
    assert reports[1].losses.tolist() == [row["loss"] for row in rest]
    assert all(row["used"] for row in simulated.rows["picks"] if row["round"] != 2)
    assert all(value.isfinite().all() for value in simulated.model.values())

    healthy = simulation(digits, "always", method={"aggregation": aggregation})
    for _ in range(2):
        healthy.round += 1
        before = healthy.model
        healthy.play()
    updates = healthy.local.train(before, [healthy._task(row["client"]) for row in rest])
    samples = np.array([row["samples"] for row in rest])
    assert samples[0] < samples[1]
    weights = resolve("aggregation", aggregation)(samples)
    again = played(spoilt(digits, method={"aggregation": aggregation}, rounds=2))
    for name, value in again.model.items():
        expected = sum(w * u.state[name] for w, u in zip(weights, updates, strict=True))
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)
    loss = np.average([row["loss"] for row in rest], weights=samples)
    assert again.rows["training"][1]["loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("mode", ["stacked", "sequential"])
def test_images_that_are_not_numbers_cost_their_owner_alone(digits, mode):
    simulated = simulation(digits, "always", mode=mode)
    healthy = played(simulation(digits, "always", mode=mode))
    simulated.world.train.pixels[simulated.world.rows[5][0]] = float("nan")
    played(simulated)
    of_owner = [row for row in simulated.rows["picks"] if row["client"] == 5]
    assert [(row["picked"], row["used"]) for row in of_owner] == [(True, False)] * 4
    assert all(row["used"] == row["picked"] for row in simulated.rows["picks"] if row["client"] != 5)
    assert all(value.isfinite().all() for value in simulated.model.values())
    picks = [[(row["round"], row["client"]) for row in s.rows["picks"]] for s in (simulated, healthy)]
    assert picks[0] == picks[1]


def test_a_round_in_which_everyone_diverged_ends_the_run(digits):
    with pytest.raises(GauntletError, match=r"every client diverged .*fedemd, seed 4, round 1") as caught:
        played(simulation(digits, "fedemd", lr=1e30, epochs=2, seed=4))
    assert caught.value.key == "train.lr"


def test_networks_start_from_the_seed_alone(digits):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = simulation(digits)
    played(one)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    same, other = simulation(digits, "tifl", selected=2), simulation(digits, seed=1)
    start = simulation(digits).model
    assert all(torch.equal(value, same.model[name]) for name, value in start.items())
    assert not torch.equal(start["0.weight"], other.model["0.weight"])
    assert not torch.equal(start["0.weight"], one.model["0.weight"])


def test_the_federators_seconds_are_those_of_selecting_and_serving(digits):
    simulated = played(simulation(digits))
    assert simulated.medians().keys() == {
        "select_seconds", "train_seconds", "serve_seconds", "test_seconds", "federator_seconds"
    }  # fmt: skip
    simulated.seconds = {"select": [1, 5, 2], "serve": [10, 20, 90], "train": [3], "test": []}
    assert simulated.medians() == {
        "select_seconds": 2, "serve_seconds": 20, "train_seconds": 3, "federator_seconds": 25
    }  # fmt: skip


def test_unknown_options_are_named(digits):
    with pytest.raises(GauntletError, match="'betta'") as caught:
        simulation(digits, "fedemd", options={"betta": 1.0})
    assert caught.value.key == "method.options"
    with pytest.raises(GauntletError, match="did you mean 'fedemd'"):
        simulation(digits, "fedemb")
    with pytest.raises(GauntletError, match="did you mean 'fedavg'"):
        simulation(digits, method={"aggregation": "fedavgg"})
