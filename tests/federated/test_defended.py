"""Federations whose clients defend their updates: what is sent, what the server sees, what it costs."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
from toy_federated import identity, played

from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.core.provenance import read_sidecar
from gauntlet.core.registry import names
from gauntlet.families.federated import settings, train
from gauntlet.families.federated.local import Recipe, Sequential
from gauntlet.families.federated.per_example import PerExample
from gauntlet.families.federated.simulation import Identity, Simulation
from gauntlet.models.copies import state_of
from gauntlet.plan import load_plan

#: A chain for every defense, each with the numbers of the tests below.
CHAINS = {
    "noise": [("noise", {"std": 0.01})],
    "clip": [("clip", {"norm": 0.1})],
    "top_k": [("top_k", {"share": 0.2})],
    "soteria": [("soteria", {"share": 0.3, "images": 2})],
    "secure_aggregation": [("secure_aggregation", {})],
    "dp_sgd": [("dp_sgd", {"clip": 0.5, "epsilon": 20.0, "delta": 1e-3})],
    "dp_fedavg": [("dp_fedavg", {"clip": 0.5, "noise_multiplier": 0.3, "delta": 1e-3})],
    "several": [("top_k", {"share": 0.5}), ("clip", {"norm": 0.2}), ("secure_aggregation", {})],
    "private sum": [("dp_fedavg", {"noise_multiplier": 0.3, "delta": 1e-3}), ("secure_aggregation", {})],
}
PRIVATE = ("dp_sgd", "dp_fedavg", "private sum")
WITHOUT_NORMS = "net3conv"


def chained(chain, method=None, **recipe):
    """An identity with a chain of (name, options)."""
    private = any(name.startswith("dp_") for name, _ in chain)
    rule = {"aggregation": "uniform"} if any(name == "dp_fedavg" for name, _ in chain) else {}
    defenses = [{"update_defense": name, "options": options} for name, options in chain]
    found = identity(method={**rule, "defenses": defenses, **(method or {})}, **{"rounds": 3, **recipe})
    return {**found, "architecture": WITHOUT_NORMS} if private else found


def simulated(digits, chain, seed=0, capture=None, **changes):
    what = parse(Identity, chained(chain, **changes), file="identity")
    return Simulation(what, seed, digits, torch.device("cpu"), capture)


def flat(state):
    return torch.cat([value.flatten() for value in state.values()])


def parameters(simulation):
    return [name for name, _ in simulation.net.named_parameters()]


def test_every_defense_is_in_a_chain():
    assert {name for chain in CHAINS.values() for name, _ in chain} == set(names("update_defense"))


# --- names


def test_undefended_cells_keep_their_names(request, monkeypatch):
    """The published ones were trained before there were defenses."""
    root = request.config.rootpath
    monkeypatch.chdir(root)
    for scale in ("mini", "desk"):
        manifest = json.loads((root / "published" / "fedemd" / scale / "manifest.json").read_text())
        published = {cell["train"]["folder"] for cell in manifest["cells"]}
        planned = {
            entry.cell.train_folder.as_posix()
            for entry in load_plan(f"config/{scale}.yaml").part("fedemd").cells
        }
        assert published
        assert published <= planned


def test_a_chain_is_part_of_a_cells_name():
    plain = {"selection": "random", "aggregation": "fedavg", "proximal": 0.0}
    chain = [{"update_defense": "top_k"}, {"update_defense": "clip"}]
    assert settings.model_label(plain) == "random_fedavg"
    assert settings.model_label({**plain, "defenses": chain}) == "random_fedavg_top_k_clip"
    what = parse(Identity, chained(CHAINS["several"]), file="identity").model_dump(mode="json")
    methods = settings.train_methods(what)
    assert {name for kind, name in methods if kind == "update_defense"} == {
        "top_k",
        "clip",
        "secure_aggregation",
    }


# --- both modes, resuming


@pytest.mark.parametrize("name", CHAINS)
def test_both_modes_and_a_resumed_run_do_the_same(digits, name):
    """Resumed bit for bit; stacked but for the rounding of sums."""
    one, other = (simulated(digits, CHAINS[name], mode=mode) for mode in ("stacked", "sequential"))
    one.round = other.round = 1
    one.play(), other.play()
    saved = io.BytesIO()
    torch.save(one.state(), saved)
    saved.seek(0)
    again = simulated(digits, CHAINS[name], mode="stacked")
    again.restore(torch.load(saved, weights_only=True))
    start = flat(simulated(digits, CHAINS[name]).model)
    assert (flat(one.model) - start).norm() > 1e-3
    # Rounding decides at a threshold of top_k and soteria which entries are kept.
    apart = (flat(one.model) - flat(other.model)).norm() / (flat(one.model) - start).norm()
    assert apart < (0.05 if name in ("top_k", "soteria", "several") else 1e-3)
    played(one), played(again)
    assert repr(one.rows) == repr(again.rows)
    assert torch.equal(flat(one.model), flat(again.model))


# --- what is sent


def captured(digits, chain, **changes):
    seen = []
    simulation = played(simulated(digits, chain, capture=seen.append, **changes))
    return simulation, seen


def trained_by_hand(simulation, one):
    """The updates of plain local training on the tasks that were seen."""
    recipe = Recipe(simulation.train.batch, simulation.train.momentum)
    local = Sequential(simulation.new(), simulation.world.train, recipe)
    return [
        {name: value - one.before[name] for name, value in update.state.items()}
        for update in local.train(one.before, list(one.tasks))
    ]


def test_the_server_sees_what_clients_send(digits):
    simulation, seen = captured(digits, [], mode="sequential")
    plain = played(simulated(digits, [], mode="sequential"))
    assert repr(simulation.rows) == repr(plain.rows)
    used = [(row["round"], row["client"]) for row in simulation.rows["picks"] if row["used"]]
    assert [(one.round, *one.clients) for one in seen] == used
    for one in seen:
        (expected,) = trained_by_hand(simulation, one)
        assert torch.equal(flat(one.update), flat(expected))
        (task,) = one.tasks
        assert task.lr == simulation.train.lr
        rows = torch.cat(task.batches(simulation.train.batch))
        assert sorted(rows.tolist()) == simulation.world.rows[one.clients[0]].tolist()


def test_updates_are_seen_after_their_defenses(digits):
    """The length of what is sent, clipped and sparse; running statistics are sent as they are."""
    simulation, seen = captured(
        digits, [("top_k", {"share": 0.1}), ("clip", {"norm": 0.05})], mode="sequential"
    )
    names = parameters(simulation)
    for one in seen:
        (plain,) = trained_by_hand(simulation, one)
        sent = torch.cat([one.update[name].flatten() for name in names])
        full = torch.cat([plain[name].flatten() for name in names])
        kept = full.abs().topk(round(0.1 * len(full))).indices
        expected = torch.zeros_like(full).scatter(0, kept, full[kept])
        torch.testing.assert_close(sent, expected * (0.05 / expected.norm()), rtol=1e-3, atol=1e-6)
        for name, value in plain.items():
            if name not in names:
                torch.testing.assert_close(one.update[name], value, rtol=1e-4, atol=1e-6)
    model, of_round = simulation.model, seen[-3:]
    sizes = np.array([len(simulation.world.rows[one.clients[0]]) for one in of_round])
    weights = sizes / sizes.sum()
    for name, value in model.items():
        expected = of_round[0].before[name] + sum(
            w * one.update[name] for w, one in zip(weights, of_round, strict=True)
        )
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)


def test_the_order_of_a_chain_matters(digits):
    chain = [("clip", {"norm": 0.05}), ("noise", {"std": 0.01})]
    lengths = []
    for order in (chain, chain[::-1]):
        simulation, seen = captured(digits, order, rounds=1)
        names = parameters(simulation)
        lengths.append(
            [float(torch.cat([one.update[name].flatten() for name in names]).norm()) for one in seen]
        )
    assert min(lengths[0]) > 0.4  # the noise alone has 0.01 sqrt(5,000)
    assert max(lengths[1]) == pytest.approx(0.05, rel=1e-3)


def test_noise_differs_between_clients_rounds_and_seeds(digits):
    draws = []
    for seed in (0, 1):
        simulation, seen = captured(digits, CHAINS["noise"], seed=seed, mode="sequential")
        for one in seen:
            (plain,) = trained_by_hand(simulation, one)
            draws.append((one.update["0.weight"] - plain["0.weight"]).flatten())
    assert len(draws) == 18
    noise = torch.stack(draws)
    assert noise.std().item() == pytest.approx(0.01, rel=0.05)
    together = torch.corrcoef(noise) - torch.eye(18)
    assert together.abs().max() < 0.35  # 400 numbers each


# --- secure aggregation


@pytest.mark.parametrize("aggregation", ["fedavg", "uniform"])
def test_a_secure_sum_trains_the_same_model(digits, aggregation):
    plain = played(simulated(digits, [], method={"aggregation": aggregation}))
    simulation, seen = captured(digits, CHAINS["secure_aggregation"], method={"aggregation": aggregation})
    # Three rounds, each off by 3 / 2^21 per entry at most, which later rounds amplify.
    assert (flat(simulation.model) - flat(plain.model)).abs().max() < 1e-3
    assert [one.round for one in seen] == [1, 2, 3]
    picks = pd.DataFrame(simulation.rows["picks"]).query("used").groupby("round")["client"].apply(tuple)
    assert [one.clients for one in seen] == picks.tolist()
    for one in seen:
        updates, sizes = trained_by_hand(simulation, one), [len(task.orders[0]) for task in one.tasks]
        weights = np.ones(3) / 3 if aggregation == "uniform" else np.array(sizes) / sum(sizes)
        expected = sum(float(w) * flat(update) for w, update in zip(weights, updates, strict=True))
        torch.testing.assert_close(flat(one.update), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "method"),
    [
        ("svb", {}),
        ("greedyfed", {}),
        ("random", {"contributions": "always"}),
        ("random", {"contributions": "maverick"}),
    ],
)
def test_a_secure_sum_hides_what_contributions_need(digits, arguments, method):
    content = identity(arguments, method={"defenses": [{"update_defense": "secure_aggregation"}], **method})
    what = parse(Identity, content, file="identity")
    with pytest.raises(GauntletError, match="single clients' models") as caught:
        Simulation(what, 0, digits, torch.device("cpu"))
    assert caught.value.key == "method.contributions"


# --- differential privacy


@pytest.mark.parametrize("mode", ["stacked", "sequential"])
@pytest.mark.parametrize(
    "recipe",
    [{}, {"momentum": 0.9, "weight_decay": 0.01, "proximal": 0.1}],
    ids=["plain", "full"],
)
def test_private_steps_without_bound_or_noise_are_plain_steps(digits, mode, recipe):
    """On full batches, where Poisson sampling takes every image."""
    bare = [("dp_sgd", {"clip": 1e9, "noise_multiplier": 1e-30, "delta": 1e-3})]
    proximal = {"proximal": recipe.get("proximal", 0.0)}
    rest = {key: value for key, value in recipe.items() if key != "proximal"}
    changes = {"rounds": 2, "batch": 1000, "epochs": 3, "mode": mode, "method": proximal, **rest}
    private = played(simulated(digits, bare, **changes))
    plain = identity(method=proximal, **{key: value for key, value in changes.items() if key != "method"})
    what = parse(Identity, {**plain, "architecture": WITHOUT_NORMS}, file="identity")
    expected = played(Simulation(what, 0, digits, torch.device("cpu")))
    torch.testing.assert_close(flat(private.model), flat(expected.model), rtol=1e-4, atol=1e-5)
    losses = [[row["loss"] for row in one.rows["training"]] for one in (private, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_examples_that_fill_up_a_batch_leave_no_trace(digits):
    """Clients with batches of 0 to 9 images at once, against one backward pass per image."""
    simulation = simulated(digits, CHAINS["dp_sgd"])
    images, net = simulation.world.train, simulation.new()
    trainer = PerExample(net, images, Recipe(10), simulation.chain.local, together=4)
    batches = [torch.arange(first, first + count) for first, count in ((0, 4), (9, 0), (30, 9), (50, 1))]
    start = state_of(net)
    for (gradients, losses), rows in zip(trainer._each([start] * 4, batches), batches, strict=True):
        assert len(losses) == len(rows)
        for index, row in enumerate(rows.tolist()):
            logits = net(images.pixels[row : row + 1])
            loss = torch.nn.functional.cross_entropy(logits, images.labels[row : row + 1])
            own = torch.autograd.grad(loss, list(net.parameters()))
            assert float(losses[index]) == pytest.approx(loss.item(), rel=1e-5)
            for name, value in zip(parameters(simulation), own, strict=True):
                torch.testing.assert_close(gradients[name][index], value, rtol=1e-4, atol=1e-6)


def test_every_client_and_round_has_noise_and_batches_of_its_own(digits):
    draws, batches = [], []
    for seed in (0, 1):
        chain = simulated(digits, CHAINS["dp_sgd"], seed=seed).chain
        for round in (1, 2):
            for client in (0, 5):
                task = chain.task(torch.arange(40), [torch.arange(40)], 0.1, round, client)
                batches.append(tuple(torch.cat(task.batches(10)).tolist()))
                zeros = {"a": torch.zeros(0, 5000)}
                draws += [chain.local.gradient(zeros, 1, task.generator)["a"] for _ in range(2)]
    assert len(set(batches)) == len(batches) == 8
    together = torch.corrcoef(torch.stack(draws)) - torch.eye(16)
    assert together.abs().max() < 0.08  # 5,000 numbers each


def test_a_client_whose_batches_are_all_empty_goes_on(digits):
    simulation = simulated(digits, CHAINS["dp_sgd"])
    rows = simulation.world.rows[0]
    task = simulation.chain.task(rows, [rows], 0.1, 1, 0)
    empty = type(task)([rows], 0.1, [rows[:0]] * 2, task.generator)
    (update,) = simulation.local.train(simulation.model, [empty])
    assert update.finite
    assert 2 < update.loss < 3  # that of an untrained network, log 10
    assert not torch.equal(flat(update.state), flat(simulation.model))


@pytest.mark.parametrize("name", PRIVATE)
def test_privacy_spent_is_recorded_and_kept(digits, name):
    simulation = played(simulated(digits, CHAINS[name], rounds=6))
    epsilon = [row["epsilon"] for row in simulation.rows["exchange"]]
    assert epsilon[0] > 0
    assert (np.diff(epsilon) >= 0).all()
    assert epsilon[-1] > epsilon[0]
    if name == "dp_sgd":
        assert epsilon[-1] <= 20
    facts = simulation.exchanged()
    assert (facts["epsilon"], facts["delta"]) == (epsilon[-1], 1e-3)


def test_a_round_without_clients_is_noise_alone(digits, capsys):
    """One client of six on average: nobody in every third round."""
    seen = []
    chain = [("dp_fedavg", {"clip": 0.5, "noise_multiplier": 0.01, "delta": 1e-3})]
    simulation = simulated(digits, chain, selected=1, rounds=12, capture=seen.append)
    moves, start = [], flat(simulation.model)
    for _ in range(12):
        simulation.round += 1
        simulation.play()
        moves.append(flat(simulation.model) - start)
        start = flat(simulation.model)
    picks = pd.DataFrame(simulation.rows["picks"]).groupby("round")["picked"].sum()
    assert {0, 1} <= set(picks)
    exchange = pd.DataFrame(simulation.rows["exchange"])
    assert (exchange["up_bytes"] == picks.to_numpy() * 4 * len(start)).all()
    for count, move, training in zip(picks, moves, simulation.rows["training"], strict=True):
        assert np.isnan(training["loss"]) == (count == 0)
        if count == 0:
            assert move.std().item() == pytest.approx(0.01 * 0.5, rel=0.02)
    assert len(seen) == picks.sum()


def test_a_clients_part_in_the_model_is_bounded(digits):
    """With and without one client, the model before the noise differs by C / K at most."""
    simulation = simulated(digits, [("dp_fedavg", {"clip": 0.5, "noise_multiplier": 1e-9})])
    before = simulation.model
    states = [{name: value + torch.randn_like(value) for name, value in before.items()} for _ in range(4)]
    rows = simulation.world.rows[0]
    task = simulation._task(0)
    sent = [
        simulation.chain.sent(before, state, 1, client, task, 10, simulation.world.train)
        for client, state in enumerate(states)
    ]
    with_all, _ = simulation.chain.aggregate(before, sent, np.full(4, 1 / 4), 1)
    without, _ = simulation.chain.aggregate(before, sent[1:], np.full(3, 1 / 3), 1)
    assert (flat(with_all) - flat(without)).norm().item() == pytest.approx(0.5 / 3, rel=1e-3)
    assert len(rows) > 0


# --- chains that do not go together


@pytest.mark.parametrize(
    ("chain", "says"),
    [
        ([("dp_sgd", {"epsilon": 8.0}), ("dp_fedavg", {"epsilon": 8.0})], "dp_sgd and dp_fedavg both state"),
        ([("secure_aggregation", {})] * 2, "both add"),
        ([("dp_fedavg", {"epsilon": 8.0}), ("noise", {"std": 1.0})], "noise after dp_fedavg"),
    ],
)
def test_chains_that_do_not_go_together_are_refused(digits, chain, says):
    with pytest.raises(GauntletError, match=says) as caught:
        simulated(digits, chain)
    assert caught.value.key == "method.defenses"


@pytest.mark.parametrize(
    ("entry", "key", "says"),
    [
        ({"update_defense": "nois"}, None, "did you mean 'noise'"),
        ({"update_defense": "noise", "options": {"sdt": 1.0}}, "method.defenses.0.options", "'sdt'"),
        ({"update_defense": "noise"}, "method.defenses.0.options", "std"),
        ({"update_defence": "noise"}, "method.defenses.0.update_defense", "required"),
    ],
)
def test_misspelt_entries_are_named(digits, entry, key, says):
    def start():
        content = identity(method={"defenses": [entry]})
        Simulation(parse(Identity, content, file="x"), 0, digits, torch.device("cpu"))

    with pytest.raises(GauntletError) as caught:
        start()
    assert says in str(caught.value)
    assert caught.value.key == key


def test_norms_have_no_place_in_a_guarantee(digits):
    content = {**chained(CHAINS["dp_sgd"]), "architecture": "cnn2_bn"}
    with pytest.raises(GauntletError, match="BatchNorm"):
        Simulation(parse(Identity, content, file="x"), 0, digits, torch.device("cpu"))


# --- what is written


@pytest.mark.parametrize("name", ["several", "top_k", "noise", "dp_fedavg"])
def test_bytes_are_counted(digits, name):
    simulation = simulated(digits, CHAINS[name])
    sizes = {key: value.numel() for key, value in simulation.model.items()}
    learned = sum(sizes[key] for key in parameters(simulation))
    sent = {"top_k": 8 * round(0.2 * learned)}.get(name, 4 * learned) + 4 * (sum(sizes.values()) - learned)
    played(simulation)
    picks = pd.DataFrame(simulation.rows["picks"]).groupby("round")["picked"].sum()
    exchange = pd.DataFrame(simulation.rows["exchange"]).set_index("round")
    assert (exchange["up_bytes"] == picks * sent).all()
    assert (exchange["down_bytes"] == picks * 4 * sum(sizes.values())).all()
    facts = simulation.exchanged()
    assert (facts["up_bytes"], facts["down_bytes"]) == (
        exchange["up_bytes"].sum(),
        exchange["down_bytes"].sum(),
    )
    assert exchange["epsilon"].isna().all() == (name not in PRIVATE)


def test_a_job_writes_what_was_exchanged(folder, tmp_path):
    what = chained(CHAINS["dp_sgd"], rounds=2)
    for out in ("one", "same"):
        train.run(what, [0, 1], tmp_path / out, None, "cpu", folder)
    files = [tmp_path / out / "exchange.parquet" for out in ("one", "same")]
    assert files[0].read_bytes() == files[1].read_bytes()
    table = pd.read_parquet(files[0])
    assert table[["seed", "round"]].to_numpy().tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    facts = read_sidecar(tmp_path / "one" / "model.safetensors")["cost"]["per_seed"]
    assert facts["epsilon"] == {"0": table["epsilon"][1], "1": table["epsilon"][3]}
    assert facts["delta"] == {"0": 1e-3, "1": 1e-3}
    totals = table.groupby("seed")[["up_bytes", "down_bytes"]].sum()
    for name in totals:
        assert facts[name] == {str(seed): int(value) for seed, value in totals[name].items()}


def test_selection_alone_exchanges_nothing(digits):
    simulation = played(simulated(digits, [], learn=False))
    assert simulation.rows["exchange"] == []
    assert simulation.exchanged() == {}


def test_defended_federations_learn(digits):
    """Mild defenses cost little on the digits; noise beyond all measure leaves nothing."""

    def accuracy(chain):
        rounds = pd.DataFrame(played(simulated(digits, chain, rounds=10, lr=0.1)).rows["rounds"])
        return rounds.query("round == 10")["correct"].sum() / 200

    plain = accuracy([])
    assert plain > 0.6
    for chain in ([("clip", {"norm": 2.0})], [("top_k", {"share": 0.5})], [("noise", {"std": 1e-3})]):
        assert accuracy(chain) > plain - 0.15
    assert accuracy([("noise", {"std": 3.0})]) < 0.3
