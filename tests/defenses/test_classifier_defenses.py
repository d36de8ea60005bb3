"""Losses of defenses on one batch, against their formulas computed by other means."""

import math

import pytest
import torch
from scipy.special import rel_entr

from gauntlet.core.registry import names, resolve
from gauntlet.defenses.classifiers.base import Model

PGD = {"eps": 0.1, "step": 0.05, "steps": 3}


def make(name, **options):
    return resolve("classifier_defense", name)(**({} if name == "none" else PGD), **options)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(12, 1, 6, 6, generator=generator), torch.randint(4, (12,), generator=generator)


def model(seed=0):
    torch.manual_seed(seed)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Linear(64, 4),
    )  # fmt: skip
    return Model(net.train(), torch.Generator().manual_seed(7))


def probabilities(net, x):
    return net(x).double().softmax(1).detach().numpy()


def attacked(defense, own, x, y):
    """The images that the defense trains on: the same draws, on a copy of the model."""
    seen = []
    attack = type(defense).attack

    def spy(self, *arguments):
        seen.append(attack(self, *arguments))
        return seen[-1]

    type(defense).attack, kept = spy, attack
    try:
        loss = defense.loss(own, x, y)
    finally:
        type(defense).attack = kept
    return loss, seen[0]


def test_no_defense_is_the_cross_entropy(batch):
    x, y = batch
    p = probabilities(model().net, x)
    expected = -sum(math.log(p[i, label]) for i, label in enumerate(y.tolist())) / len(y)
    assert float(make("none").loss(model(), x, y).detach()) == pytest.approx(expected, rel=1e-5)


def test_trades_and_mart_follow_their_equations(batch):
    x, y = batch
    rows = range(len(y))
    for name, options in (("trades", {"beta": 2.5}), ("mart", {"weight": 1.5}), ("pgd_at", {})):
        own = model()
        loss, found = attacked(make(name, **options), own, x, y)
        net = model().net
        clean, adversarial = probabilities(net, x), probabilities(net, found)
        labels = y.tolist()
        kl = rel_entr(clean, adversarial).sum(1)
        if name == "pgd_at":
            expected = -sum(math.log(adversarial[i, labels[i]]) for i in rows)
        elif name == "trades":
            expected = sum(-math.log(clean[i, labels[i]]) + 2.5 * kl[i] for i in rows)
        else:
            other = [max(p for k, p in enumerate(adversarial[i]) if k != labels[i]) for i in rows]
            expected = sum(
                -math.log(adversarial[i, labels[i]])
                - math.log(1 - other[i])
                + 1.5 * kl[i] * (1 - clean[i, labels[i]])
                for i in rows
            )
        assert float(loss.detach()) == pytest.approx(expected / len(labels), rel=1e-4), name
        assert 0 < (found - x).abs().max() <= 0.1 + 1e-6


@pytest.mark.parametrize("name", names("classifier_defense"))
def test_gradients_are_finite_and_reach_every_parameter(name, batch):
    own = model()
    gradients = torch.autograd.grad(make(name).loss(own, *batch), own.net.parameters())
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients)
    assert own.net.training


@pytest.mark.parametrize("name", ["pgd_at", "trades", "mart"])
def test_the_attack_leaves_running_statistics_alone(name, batch):
    """In train mode only the passes of the loss itself update BatchNorm: one each, or two."""
    own = model()
    make(name).loss(own, *batch)
    assert int(own.net[1].num_batches_tracked) == (1 if name == "pgd_at" else 2)


def test_the_budget_counts_every_pass(batch):
    # Per image: attack steps, the update's passes, and half for TRADES' fixed clean outputs.
    for name, passes in (("none", 1), ("pgd_at", 3 + 1), ("trades", 0.5 + 3 + 2), ("mart", 3 + 2)):
        own = model()
        make(name).loss(own, *batch)
        assert own.passes == 12 * passes, name
