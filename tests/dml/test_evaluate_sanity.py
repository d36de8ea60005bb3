"""The sanity suite on real networks: an honest one passes, masked gradients are caught."""

import faiss
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from gauntlet.core.registry import names
from gauntlet.core.seeds import torch_generator
from gauntlet.families.dml import checks
from gauntlet.families.dml.images.arrays import Arrays
from gauntlet.families.dml.settings import Evaluate
from gauntlet.families.dml.target import Target
from gauntlet.losses.proxy_anchor import proxy_anchor
from gauntlet.models import build

SETTINGS = Evaluate(
    attacks=["shift", "centre", "margin", "joint_pair"],
    eps=0.2,
    step=0.04,
    steps=20,
    sanity_images=100,
    sanity_steps=60,
)
#: All other objectives, and one of them with every other search and norm.
MARGIN = {"objective": "margin"}
OTHERS = Evaluate(
    attacks={
        **{name: {} for name in names("attack") if name not in SETTINGS.attacks},
        "l2": {**MARGIN, "norm": "l2", "eps": 1.0},
        "adam": {**MARGIN, "search": "adam", "step": 0.02},
        "cw": {**MARGIN, "search": "cw", "step": 0.02, "steps": 10},
        "square": {**MARGIN, "search": "square", "steps": 300},
    },
    eps=0.2,
    step=0.04,
    steps=20,
    sweep_attack="l2",
    sanity_images=100,
    sanity_steps=60,
)
CLIMBERS = [label for label in OTHERS.attacks if label != "square"]


def digits(classes, per_class):
    source = load_digits()
    rows = np.concatenate([np.flatnonzero(source.target == label)[:per_class] for label in classes])
    return Arrays(source.images[rows, None].astype(np.uint8), 16), torch.tensor(source.target[rows])


@pytest.fixture(scope="module")
def nets():
    """Two undefended networks trained on digits 0 to 4."""
    faiss.omp_set_num_threads(1)
    images, labels = digits(range(5), 150)
    return [train(images.view(), labels, seed) for seed in (0, 1)]


def train(images, labels, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net, proxies = build("conv", 1, 8, 32), torch.nn.Parameter(torch.randn(5, 32))
    optimizer = torch.optim.Adam([{"params": net.parameters()}, {"params": [proxies], "lr": 0.03}], 0.003)
    generator = torch_generator(seed, "batches")
    for _ in range(8):
        for rows in torch.randperm(len(images), generator=generator).split(100):
            loss = proxy_anchor(net(images[rows]), labels[rows], proxies, 16.0, 0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval().requires_grad_(False)


def sign(net):
    """No gradient: the embedding's signs."""
    return lambda x: F.normalize(torch.sign(net(x)))


def quantised(net):
    """No gradient: pixels of five levels."""
    return lambda x: net((4 * x).round() / 4)


def saturated(net):
    """Next to no gradient: a huge scale before tanh."""
    return lambda x: F.normalize(torch.tanh(1e4 * net(x)))


def suite(net, source, attack, settings=SETTINGS):
    images, labels = digits(range(5, 10), 30)
    target = Target(net, images, labels, settings, seed=0)
    headline = target.embed(target.attack(attack))
    found = checks.run(target, attack, headline, source)
    expected = {"more_steps", "bigger_eps", "unbounded", "transfer", "random_noise"}
    if attack != "square":
        expected.add("gradient")
    assert {check.check for check in found} == expected
    return found


@pytest.mark.parametrize("attack", SETTINGS.attacks)
@pytest.mark.parametrize("surrogate", ["network", "pixels"])
def test_an_honest_network_passes(nets, attack, surrogate):
    found = suite(nets[0], nets[1] if surrogate == "network" else None, attack)
    assert [check for check in found if not check.passed] == []
    assert found[0].check == "gradient"
    metrics = {check.metric for check in found[1:]}
    assert metrics == ({"nmi", "f1"} if attack == "joint_pair" else {"recall@1"})
    if attack != "joint_pair":  # recall must fall to chance: 29 of the 149 others have the query's class
        unbounded = next(check for check in found if check.check == "unbounded")
        assert unbounded.bound == pytest.approx(29 / 149 + 0.098)


@pytest.mark.parametrize("label", OTHERS.attacks)
def test_an_honest_network_passes_under_every_other_attack_and_search(nets, label):
    found = suite(nets[0], nets[1], label, OTHERS)
    assert [check for check in found if not check.passed] == []


@pytest.mark.parametrize("label", CLIMBERS)
def test_every_other_attack_that_climbs_gradients_notices_their_absence(nets, label):
    found = suite(sign(nets[0]), sign(nets[1]), label, OTHERS)
    assert {"gradient", "unbounded"} <= {check.check for check in found if not check.passed}


@pytest.mark.parametrize("mask", [sign, quantised, saturated])
def test_a_query_search_is_not_misled_by_masked_gradients(nets, mask):
    images, labels = digits(range(5, 10), 30)
    target = Target(mask(nets[0]), images, labels, OTHERS, seed=0)
    left = {
        label: target.retrieve(target.embed(target.attack(label))).hits.mean() for label in ("l2", "square")
    }
    assert left["l2"] > 0.6
    assert left["square"] < 0.2


@pytest.mark.parametrize("mask", [sign, quantised, saturated])
@pytest.mark.parametrize("attack", SETTINGS.attacks)
def test_masked_gradients_are_caught(nets, mask, attack):
    """Even when the transfer examples come from a masked network too, as in a cell they would."""
    found = suite(mask(nets[0]), mask(nets[1]), attack)
    assert "unbounded" in {check.check for check in found if not check.passed}


def test_transfer_from_an_honest_network_catches_a_mask_too(nets):
    found = suite(sign(nets[0]), nets[0], "centre")
    assert {"transfer", "unbounded"} <= {check.check for check in found if not check.passed}


@pytest.mark.parametrize("attack", SETTINGS.attacks)
def test_an_attack_that_sees_one_member_only_is_caught(nets, attack):
    """Its scores are plausible: only the gradient tells."""

    def embed(x, seen=(0, 1)):
        parts = [net(x) if i in seen else net(x).detach() for i, net in enumerate(nets)]
        return torch.cat(parts, dim=1) / 2**0.5

    def failed(net):
        return {check.check for check in suite(net, None, attack) if not check.passed}

    assert failed(embed) == set()
    assert "gradient" in failed(lambda x: embed(x, seen=(0,)))


def test_the_sample_is_balanced_and_repeatable(nets):
    images, labels = digits(range(5, 10), 30)
    target = Target(nets[0], images, labels, SETTINGS, seed=0)
    rows = checks.sample(target, 52)
    assert np.bincount(target.classes[rows.numpy()])[5:].tolist() == [10] * 5
    assert torch.equal(rows, checks.sample(target, 52))
    assert len(checks.sample(target, 10_000)) == 150


def test_of_very_many_classes_the_sample_has_some(nets, monkeypatch):
    """Two images of each of 11,316 classes would be more work than the attack itself."""
    images, labels = digits(range(5, 10), 30)
    target = Target(nets[0], images, labels, SETTINGS, seed=0)
    assert len(checks.sample(target, 4)) == 10
    monkeypatch.setattr(checks, "MOST", 7)
    rows = checks.sample(target, 4)
    _, counts = np.unique(target.classes[rows.numpy()], return_counts=True)
    assert counts.tolist() == [2, 2, 2]
    assert torch.equal(rows, checks.sample(target, 4))
    assert torch.equal(rows, rows.sort().values)


def test_pixels_as_an_embedding_are_those_of_a_grid_for_large_images():
    images = torch.rand(6, 3, 70, 70, generator=torch_generator(0, "images"))
    found = checks.pixels(images.mean(0))(images)
    cells = images.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5)).flatten(1)
    torch.testing.assert_close(found, F.normalize(cells - cells.mean(0)), atol=1e-5, rtol=0)
    small = images[..., :32, :32]
    whole = F.normalize(small.flatten(1) - small.mean(0).flatten())
    torch.testing.assert_close(checks.pixels(small.mean(0))(small), whole)


def test_a_gradient_is_checked_on_no_more_images_than_fit(nets, monkeypatch):
    images, labels = digits(range(5, 10), 30)
    sizes = []

    def counted(x):
        sizes.append(len(x))
        return nets[0](x)

    target = Target(counted, images, labels, SETTINGS, seed=0)
    target.batch = 40
    sizes.clear()
    for label in ("margin", "joint_pair"):
        assert checks._gradient(target, label, torch.arange(150)).passed
    assert set(sizes) == {38}
