"""Attacks on classifiers: closed forms on linear models, the laws of their budgets, and each other."""

import pytest
import torch
import torch.nn.functional as F

from gauntlet.attacks.classifiers.apgd import dlr, schedule, targeted_dlr
from gauntlet.attacks.classifiers.base import margin
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names, resolve

OPTIONS = {
    "fgsm": {"eps": 0.1},
    "bim": {"eps": 0.1, "step": 0.02, "steps": 8},
    "pgd": {"eps": 0.1, "step": 0.02, "steps": 12},
    "mim": {"eps": 0.1, "step": 0.02, "steps": 8},
    "apgd": {"eps": 0.1, "steps": 20},
    "square": {"eps": 0.1, "queries": 300},
    "auto": {"eps": 0.1, "steps": 10, "targets": 2, "queries": 50},
    "cw": {"lr": 0.02, "steps": 60, "searches": 7, "initial": 0.1},
}
BOUNDED = [name for name in OPTIONS if name != "cw"]
TARGETED = [name for name in OPTIONS if name != "auto"]


def make(name, **changed):
    return resolve("classifier_attack", name)(**{**OPTIONS[name], **changed})


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=6, seed=1):
    """Far enough from black and white that no budget here reaches them."""
    return 0.3 + 0.4 * torch.rand(n, 1, 6, 6, generator=rng(seed))


@pytest.fixture(scope="module")
def net():
    """A small network that has learned which quarter of the image is bright."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(128, 4)
    )
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(200):
        x, y = bright(64)
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval().requires_grad_(False)


def bright(n):
    y = torch.randint(4, (n,))
    x = 0.3 + 0.3 * torch.rand(n, 1, 6, 6)
    for i, quarter in enumerate(y.tolist()):
        row, column = 3 * (quarter // 2), 3 * (quarter % 2)
        x[i, :, row : row + 3, column : column + 3] += 0.12
    return x, y


@pytest.fixture(scope="module")
def batch(net):
    torch.manual_seed(5)
    x, y = bright(40)
    right = net(x).argmax(1) == y
    assert right.double().mean() > 0.9
    return x[right], y[right]


def linear(classes=3, seed=3):
    weight = torch.randn(classes, 36, generator=rng(seed))
    bias = 0.1 * torch.randn(classes, generator=rng(seed + 1))
    return weight, bias, lambda x: x.flatten(1) @ weight.T + bias


def test_every_attack_is_tested():
    assert set(OPTIONS) == set(names("classifier_attack"))


@pytest.mark.parametrize("name", ["fgsm", "bim", "pgd", "mim", "apgd"])
@pytest.mark.parametrize("targeted", [False, True])
def test_two_linear_classes_are_attacked_along_the_sign_of_their_difference(name, targeted):
    weight, _, logits = linear(2)
    x, labels = images(), torch.tensor([0, 1, 0, 1, 0, 1])
    away = (weight[1 - labels] - weight[labels]).sign().view_as(x) * (-1 if targeted else 1)
    found = make(name)(logits, x, labels, targeted=targeted, generator=rng())
    torch.testing.assert_close(found, x + 0.1 * away)


def test_square_comes_near_the_closed_form_without_gradients():
    weight, _, logits = linear(2)
    x, labels = images(), torch.tensor([0, 1, 0, 1, 0, 1])
    best = margin(logits(x + 0.1 * (weight[1 - labels] - weight[labels]).sign().view_as(x)), labels)
    clean = margin(logits(x), labels)
    found = margin(logits(make("square", queries=3000)(logits, x, labels, generator=rng())), labels)
    assert (found > clean + 0.9 * (best - clean)).all()
    assert (found <= best + 1e-4).all()


def test_carlini_wagner_finds_the_nearest_point_across_a_linear_boundary():
    weight, bias, _ = linear(3)
    weight, bias = weight / 4, bias / 4  # near enough that no pixel saturates
    x = images(20)
    outputs = x.flatten(1) @ weight.T + bias
    labels = outputs.argmax(1)
    gaps = outputs.gather(1, labels[:, None]) - outputs
    norms = (weight[labels][:, None] - weight[None]).norm(dim=2)
    nearest = (gaps / norms).scatter(1, labels[:, None], float("inf")).amin(1)
    attack = make("cw", lr=0.01, steps=200, searches=10)
    found = attack(lambda x: x.flatten(1) @ weight.T + bias, x, labels, generator=rng())
    inside = (found > 0.01).flatten(1).all(1) & (found < 0.99).flatten(1).all(1)
    assert inside.sum() >= 10
    distance = (found - x).flatten(1).norm(dim=1)[inside]
    assert (found.flatten(1) @ weight.T + bias).argmax(1).ne(labels).all()
    assert (distance >= nearest[inside] - 1e-4).all()
    assert (distance <= 1.05 * nearest[inside] + 0.01).all()


def test_carlini_wagner_keeps_its_confidence_and_leaves_what_it_cannot_change(net, batch):
    x, labels = batch
    found = make("cw", confidence=2.0)(net, x, labels, generator=rng())
    gaps, changed = margin(net(found), labels), (found != x).flatten(1).any(1)
    assert changed.any()
    assert (gaps[changed] >= 2 - 1e-4).all()
    constant = torch.zeros(len(x), 4).scatter(1, labels[:, None], 1.0)
    stuck = make("cw", steps=3)(lambda x: constant + 0 * x.flatten(1)[:, :4], x, labels, generator=rng())
    assert torch.equal(stuck, x)


@pytest.mark.parametrize("name", TARGETED)
@pytest.mark.parametrize("targeted", [False, True])
def test_attacks_succeed_and_keep_to_their_budget(name, targeted, net, batch):
    x, labels = batch
    goal = (labels + 1) % 4 if targeted else labels
    before = x.clone()
    found = make(name)(net, x, goal, targeted=targeted, generator=rng())
    assert torch.equal(x, before)
    assert found.shape == x.shape
    assert not found.requires_grad
    assert torch.equal(found, found.clamp(0, 1))
    if name in BOUNDED:
        assert (found - x).abs().max() <= 0.1 + 1e-6
    hits = net(found).argmax(1) == goal
    assert hits.double().mean() > 0.6 if targeted else hits.double().mean() < 0.4


@pytest.mark.parametrize("name", TARGETED)
def test_what_becomes_of_an_image_depends_on_no_other(name, net, batch):
    x, labels = batch
    if name in ("pgd", "apgd", "square"):  # draw once for all
        return
    together = make(name)(net, x[:5], labels[:5], generator=rng())
    alone = torch.cat([make(name)(net, x[i : i + 1], labels[i : i + 1], generator=rng()) for i in range(5)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_the_ensemble_is_at_least_as_strong_as_its_parts(net, batch):
    x, labels = batch
    attack = make("auto", eps=0.03)
    left = (net(attack(net, x, labels, generator=rng())).argmax(1) == labels).sum()
    for part in ("apgd", "square"):
        alone = make(part, eps=0.03, **({"steps": 10} if part == "apgd" else {"queries": 50}))
        assert left <= (net(alone(net, x, labels, generator=rng())).argmax(1) == labels).sum()
    assert 0 < left < len(x)


def test_the_ensemble_leaves_misclassified_images_alone(net, batch):
    x, labels = batch
    wrong = (labels + 1) % 4
    assert torch.equal(make("auto")(net, x, wrong, generator=rng()), x)
    with pytest.raises(GauntletError, match="no targeted form"):
        make("auto")(net, x, labels, targeted=True, generator=rng())


def test_apgd_beats_pgd_of_equal_steps_on_the_loss(net, batch):
    x, labels = batch

    def loss(found):
        return F.cross_entropy(net(found), labels, reduction="none").mean()

    auto = loss(make("apgd", eps=0.05, steps=10)(net, x, labels, generator=rng()))
    plain = loss(make("pgd", eps=0.05, step=0.01, steps=10)(net, x, labels, generator=rng()))
    assert auto >= plain - 1e-4


def test_apgd_looks_at_its_progress_at_the_papers_iterations():
    # Shares 0.22, 0.41, 0.57, 0.70, 0.80, 0.87, 0.93, 0.99 (section 3.1).
    assert schedule(100) == [22, 41, 57, 70, 80, 87, 93, 99]


def test_the_ratio_of_logits_ignores_their_scale():
    outputs = torch.tensor([[4.0, 1.0, 2.0, 0.0], [1.0, 3.0, 2.0, -1.0]])
    labels, targets = torch.tensor([0, 0]), torch.tensor([2, 2])
    # (2 - 4) / (4 - 1); (3 - 1) / (3 - 1)
    torch.testing.assert_close(dlr(outputs, labels), torch.tensor([-2 / 3, 1.0]))
    torch.testing.assert_close(dlr(10 * outputs + 5, labels), dlr(outputs, labels))
    # (2 - 4) / (4 - (1 + 0) / 2); (2 - 1) / (3 - (1 - 1) / 2)
    torch.testing.assert_close(targeted_dlr(outputs, labels, targets), torch.tensor([-2 / 3.5, 1 / 3]))
    with pytest.raises(GauntletError, match="needs 3 classes"):
        dlr(outputs[:, :2], labels)


def test_momentum_follows_its_published_recursion(net, batch):
    x, labels = batch[0][:4], batch[1][:4]
    expected, g = x.clone(), torch.zeros_like(x)
    for _ in range(5):
        point = expected.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(net(point), labels, reduction="sum"), point)
        g = 0.7 * g + gradient / gradient.abs().sum((1, 2, 3), keepdim=True)
        expected = (expected + 0.02 * g.sign()).clamp(x - 0.05, x + 0.05).clamp(0, 1)
    attack = make("mim", eps=0.05, step=0.02, steps=5, momentum=0.7)
    torch.testing.assert_close(attack(net, x, labels, generator=rng()), expected)


def test_nan_is_no_robustness(net, batch):
    x, labels = batch
    for name in ("pgd", "apgd"):
        with pytest.raises(GauntletError, match="not finite"):
            make(name)(lambda x: net(x) * float("nan"), x, labels, generator=rng())
