"""Local training against clients with networks and torch optimisers of their own."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.families.federated.local import COPIES, Recipe, Sequential, Task, Together, Update
from gauntlet.families.federated.settings import Train
from gauntlet.families.federated.simulation import decayed
from gauntlet.families.federated.world import Images
from gauntlet.models.classifiers import build
from gauntlet.models.copies import state_of
from gauntlet.plan import load_plan

SHAPES = {"cnn2_bn": (1, 8), "cnn3": (1, 47), "cnn6_bn": (3, 8)}
PLAIN = {"momentum": 0.0, "weight_decay": 0.0, "proximal": 0.0}
FULL = {"momentum": 0.9, "weight_decay": 1 / 64, "proximal": 0.25}  # times a rate exact in single precision


def network(name="cnn2_bn", dtype=torch.float64):
    torch.manual_seed(0)
    return build(name, *SHAPES[name], 4).to(dtype)


def pictures(name="cnn2_bn", n=60, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    channels, size = SHAPES[name]
    pixels = torch.rand(n, channels, size, size, generator=generator, dtype=dtype)
    return Images(pixels, torch.randint(4, (n,), generator=generator))


def tasks(sizes, rates, epochs=2):
    """Clients with images of their own, shuffled for every epoch. Rates are exact in single precision."""
    generator, first, made = torch.Generator().manual_seed(2), 0, []
    for size, lr in zip(sizes, rates, strict=True):
        rows = torch.arange(first, first + size)
        first += size
        orders = [rows[torch.randperm(size, generator=generator)] for _ in range(epochs)]
        made.append(Task(orders, lr))
    return made


def alone(net, images, task, recipe):
    """One client as anyone would write it: a network and an optimiser of its own, the loss in full."""
    mine, anchor = deepcopy(net).train(), [p.detach().clone() for p in net.parameters()]
    optimiser = torch.optim.SGD(
        mine.parameters(), lr=task.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    total, count = 0.0, 0
    for order in task.orders:
        for first in range(0, len(order), recipe.batch):
            rows = order[first : first + recipe.batch]
            loss = F.cross_entropy(mine(images.pixels[rows]), images.labels[rows])
            total, count = total + loss.item() * len(rows), count + len(rows)
            if recipe.proximal:
                pairs = zip(mine.parameters(), anchor, strict=True)
                loss = loss + recipe.proximal / 2 * sum(((w - at) ** 2).sum() for w, at in pairs)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return Update(state_of(mine), total / count)


def start_of(net):
    return {name: value.clone() for name, value in state_of(net).items()}


def assert_close(found, expected, **tolerance):
    assert found.state.keys() == expected.state.keys()
    for name, value in expected.state.items():
        torch.testing.assert_close(found.state[name], value, **tolerance, msg=lambda m, n=name: f"{n}: {m}")
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)


@pytest.mark.parametrize("scale", ["smoke", "mini", "desk", "paper"])
def test_every_network_of_a_federated_study_is_tested(scale, request, monkeypatch):
    monkeypatch.chdir(request.config.rootpath)
    cells = load_plan(f"config/{scale}.yaml").cells()
    assert {cell.architecture for cell in cells if cell.family == "federated"} <= set(SHAPES)


@pytest.mark.parametrize("options", [PLAIN, FULL], ids=["plain", "full"])
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("trainer", [Sequential, Together])
def test_clients_train_as_they_would_alone(trainer, name, options):
    """Ragged last batches, clients of 1 to 11 images with rates of their own, two epochs."""
    net, images, recipe = network(name), pictures(name), Recipe(4, **options)
    slower = 64 if name == "cnn6_bn" else 1  # six norms amplify rounding at larger steps
    work = tasks([6, 11, 2, 8, 1], [rate / slower for rate in (0.125, 0.0625, 0.125, 0.25, 0.5)])
    updates = trainer(deepcopy(net), images, recipe).train(start_of(net), work)
    assert len(updates) == len(work)
    for task, update in zip(work, updates, strict=True):
        assert_close(update, alone(net, images, task, recipe), rtol=1e-9, atol=1e-9)
        assert (update.state["0.weight"] - net.state_dict()["0.weight"]).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("sizes", "batch", "epochs"),
    [
        ([7, 7, 7], 7, 1),
        ([7, 7, 7], 50, 3),
        ([5, 9, 9, 5], 2, 1),
        ([12], 5, 2),
        ([3, 4, 20, 19, 14], 6, 3),
        ([2] * COPIES, 2, 1),
        ([1, 2] * COPIES + [3], 2, 1),
    ],
    ids=str,
)
def test_any_mixture_of_sizes_can_train_together(sizes, batch, epochs):
    net, images, recipe = network(), pictures(n=sum(sizes)), Recipe(batch, **FULL)
    work = tasks(sizes, ([0.125, 0.0625, 0.25, 0.125, 0.0625] * len(sizes))[: len(sizes)], epochs)
    start = start_of(net)
    together = Together(net, images, recipe).train(start, work)
    one_by_one = Sequential(deepcopy(net), images, recipe).train(start, work)
    for update, expected in zip(together, one_by_one, strict=True):
        assert_close(update, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_sequential_steps_are_those_of_torch_bit_for_bit(momentum, weight_decay):
    net, images = network(dtype=torch.float32), pictures(dtype=torch.float32)
    recipe = Recipe(4, momentum, weight_decay)
    work = tasks([6, 11, 3], [0.1, 0.05, 0.3])
    updates = Sequential(deepcopy(net), images, recipe).train(start_of(net), work)
    for task, update in zip(work, updates, strict=True):
        for name, value in alone(net, images, task, recipe).state.items():
            assert torch.equal(update.state[name], value), name


@pytest.mark.parametrize("trainer", [Sequential, Together])
def test_the_proximal_term_pulls_towards_the_global_model(trainer):
    net, images, work = network(), pictures(), tasks([20, 10], [0.125, 0.125], epochs=4)
    names = [name for name, _ in net.named_parameters()]
    moved = []
    for proximal in (0.0, 0.1, 1.0, 4.0):
        updates = trainer(deepcopy(net), images, Recipe(5, proximal=proximal)).train(start_of(net), work)
        moved.append(
            [sum(((u.state[n] - net.state_dict()[n]) ** 2).sum().item() for n in names) for u in updates]
        )
    for near, far in zip(moved[1:], moved[:-1], strict=True):
        assert all(a < b for a, b in zip(near, far, strict=True))


@pytest.mark.parametrize("trainer", [Sequential, Together])
def test_training_starts_afresh_and_leaves_its_start_alone(trainer):
    net, images, work = network(), pictures(), tasks([6, 11], [0.125, 0.25])
    start = start_of(net)
    before = {name: value.clone() for name, value in start.items()}
    train = trainer(net, images, Recipe(4, **FULL)).train
    first, again = train(start, work), train(start, work)
    for one, two in zip(first, again, strict=True):
        assert one.loss == two.loss
        assert all(torch.equal(value, two.state[name]) for name, value in one.state.items())
    assert all(torch.equal(value, start[name]) for name, value in before.items())
    kept = {name: value.clone() for name, value in first[0].state.items()}
    train(again[1].state, work)
    assert all(torch.equal(value, first[0].state[name]) for name, value in kept.items())


@pytest.mark.parametrize("trainer", [Sequential, Together])
@pytest.mark.parametrize("fault", ["pixels", "rate"])
def test_a_client_that_diverges_leaves_the_others_as_they_were(trainer, fault):
    net = network(dtype=torch.float32)
    recipe, rates = Recipe(4, 0.9), [0.125, 0.125, 0.125]
    healthy = trainer(deepcopy(net), pictures(dtype=torch.float32), recipe).train(
        start_of(net), tasks([6, 11, 3], rates)
    )
    images = pictures(dtype=torch.float32)
    if fault == "pixels":
        images.pixels[8] = float("nan")  # of the second client
    else:
        rates[1] = 1e30
    updates = trainer(deepcopy(net), images, recipe).train(start_of(net), tasks([6, 11, 3], rates))
    assert [update.finite for update in updates] == [True, False, True]
    assert all(update.finite for update in healthy)
    for client in (0, 2):
        assert_close(updates[client], healthy[client], rtol=1e-6, atol=1e-6)


def test_an_update_is_finite_in_its_loss_and_all_its_tensors():
    assert Update({"a": torch.ones(2), "b": torch.zeros(1)}, 0.5).finite
    for bad in (float("nan"), float("inf"), -float("inf")):
        assert not Update({"a": torch.ones(2)}, bad).finite
        assert not Update({"a": torch.ones(2), "b": torch.tensor([0.0, bad])}, 0.5).finite


def recipe(**changes):
    return Train(rounds=1, selected=1, batch=1, **{"lr": 0.1, **changes})


@given(
    st.integers(0, 60), st.integers(1, 12), st.floats(0.05, 1), st.sampled_from([0.0, 1e-10, 1e-4, 0.02, 0.5])
)
@settings(deadline=None)
def test_the_rate_decays_by_steps_and_never_below_the_least(count, every, decay, least):
    """As the paper's release steps its scheduler: a decay that would go below the least is left out."""
    lr = 0.1
    for step in range(1, count + 1):
        if step % every == 0 and lr * decay >= least:
            lr = lr * decay
    assert decayed(recipe(decay_every=every, decay=decay, least_lr=least), count) == pytest.approx(lr)


@pytest.mark.parametrize(("every", "decay"), [(1, 0.9), (4, 0.1), (10, 0.5)])
def test_the_rate_is_that_of_torchs_step_schedule(every, decay):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, every, decay)
    for count in range(30):
        expected = schedule.get_last_lr()[0]
        assert decayed(recipe(decay_every=every, decay=decay), count) == pytest.approx(expected)
        assert decayed(recipe(decay=decay), count) == 0.1
        optimiser.step()
        schedule.step()
