"""Shadow models against networks that are trained alone, by torch's own optimisers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from toy_membership import logits_of

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import create
from gauntlet.core.seeds import torch_generator
from gauntlet.data.subset import Images
from gauntlet.membership.base import Evidence, Population, Shadows
from gauntlet.membership.shadows import COPIES, Recipe, answers, at_once, halves, train
from gauntlet.metrics.membership import roc
from gauntlet.models.classifiers import build
from gauntlet.models.copies import Mapped, copies, state_of
from gauntlet.models.stacked import Stacked, stack

SGD = Recipe(epochs=2, batch=4, lr=0.05, momentum=0.9, weight_decay=0.01)
ADAM = Recipe(epochs=2, batch=4, lr=0.002, optimizer="adam", weight_decay=0.01)
EXACT = {"rtol": 1e-7, "atol": 1e-9}


class Residual(nn.Module):
    """A block that cannot be stacked."""

    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        return F.gelu(x + self.body(x))


def small():
    return build("cnn2_bn", 1, 8, 4).double()


def branching():
    layers = [nn.Conv2d(1, 6, 3), Residual(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)]
    return nn.Sequential(*layers).double()


def pool(n=22):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(n, 1, 8, 8, generator=generator, dtype=torch.float64)
    return Images(pixels, torch.randint(4, (n,), generator=generator))


def generators(count):
    return [torch_generator(0, "shadow", i) for i in range(count)]


def alone(make, images, mask, recipe, generator):
    """One model as anyone would train it, drawing what the description says."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        net = make().train()
    if recipe.optimizer == "sgd":
        optimiser = torch.optim.SGD(
            net.parameters(), recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
    else:
        optimiser = torch.optim.AdamW(net.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    rows = torch.from_numpy(np.flatnonzero(mask))
    for _ in range(recipe.epochs):
        for batch in rows[torch.randperm(len(rows), generator=generator)].split(recipe.batch):
            optimiser.zero_grad()
            F.cross_entropy(net(images.pixels[batch]), images.labels[batch]).backward()
            optimiser.step()
    return net


def test_both_ways_of_running_copies_are_used():
    assert isinstance(copies(small()), Stacked)
    assert isinstance(copies(branching()), Mapped)


@pytest.mark.parametrize("recipe", [SGD, ADAM], ids=["sgd", "adam"])
@pytest.mark.parametrize("make", [small, branching])
@pytest.mark.parametrize("together", [1, 3, None])
def test_models_train_as_they_would_alone(make, recipe, together):
    """Six models of an odd pool (10 or 11 images each), a ragged last batch, batches of their own."""
    images = pool(21)
    inside = halves(21, 6, np.random.default_rng(0))
    states = train(make, images, inside, recipe, generators(6), together)
    logits = answers(make(), states, images.pixels, together)
    for i, (state, generator) in enumerate(zip(states, generators(6), strict=True)):
        net = alone(make, images, inside[i], recipe, generator)
        for name, value in state_of(net).items():
            torch.testing.assert_close(state[name], value, **EXACT, msg=lambda m, n=name: f"{n}: {m}")
        with torch.no_grad():
            expected = net.eval()(images.pixels)
        torch.testing.assert_close(torch.from_numpy(logits[i]), expected.float())


def test_a_model_does_not_depend_on_the_others():
    images, inside = pool(), halves(22, 4, np.random.default_rng(0))
    every = train(small, images, inside, SGD, generators(4))
    two = train(small, images, inside[2:3], SGD, generators(4)[2:3])
    for name, value in two[0].items():
        torch.testing.assert_close(every[2][name], value, **EXACT)
    assert not torch.allclose(every[0]["0.weight"], every[1]["0.weight"])


def test_training_moves_no_global_generator():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    train(small, pool(), halves(22, 2, np.random.default_rng(0)), SGD, generators(2))
    assert torch.equal(before, torch.get_rng_state())


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 5))
def test_every_example_is_in_half_of_the_models_and_every_model_has_half(pool, pairs, seed):
    inside = halves(pool, 2 * pairs, np.random.default_rng(seed))
    assert (inside.sum(axis=0) == pairs).all()
    assert set(inside.sum(axis=1)) <= {pool // 2, pool - pool // 2}


def test_halves_are_random():
    inside = halves(200, 100, np.random.default_rng(0)).astype(float)
    first = inside[::2]  # models of different pairs
    assert np.abs(first.mean(axis=0) - 0.5).max() < 0.5 * 5 / np.sqrt(50)
    together = np.corrcoef(first)[np.triu_indices(50, 1)]
    assert np.abs(together).max() < 5 / np.sqrt(200)


def test_an_odd_number_of_models_is_refused():
    with pytest.raises(GauntletError, match="no pairs"):
        halves(10, 3, np.random.default_rng(0))


def test_a_training_that_diverges_is_named():
    with pytest.raises(GauntletError, match="diverged"):
        train(small, pool(), halves(22, 2, np.random.default_rng(0)), Recipe(3, 4, 1e200), generators(2))


def test_a_model_without_images_is_named():
    with pytest.raises(GauntletError, match="at least one"):
        train(small, pool(), np.zeros((2, 22), bool), SGD, generators(2))


def test_copies_with_dropout_are_refused():
    with pytest.raises(GauntletError, match="dropout"):
        copies(nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 4)))


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("training", [True, False])
def test_mapped_copies_of_shared_images(training, count):
    nets = [branching() for _ in range(count)]
    tensors = stack([state_of(net) for net in nets])
    pixels = pool(5).pixels
    found = Mapped(branching())(tensors, pixels, training)
    expected = torch.stack([net.train(training)(pixels) for net in nets])
    torch.testing.assert_close(found, expected, **EXACT)


def areas(recipe, models=8, n=120, z=60):
    """By attack, the area under its curve; labels are random, so that they can only be memorised."""
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.random((n + z, 1, 8, 8)).astype(np.float32))
    images = Images(pixels, torch.from_numpy(rng.integers(0, 4, n + z)))
    inside = np.zeros((models + 2, n + z), bool)  # the first two are targets; the last z images are nobody's
    inside[:, :n] = halves(n, models + 2, rng)

    def make():
        return build("cnn2_bn", 1, 8, 4)

    states = train(make, images, inside, recipe, generators(models + 2))
    logits, labels = answers(make(), states, pixels), images.labels.numpy()
    evidence = Evidence(
        labels=labels[:n],
        logits=logits[0, :n],
        shadows=Shadows(logits[2:, :n], inside[2:, :n]),
        population=Population(labels[n:], logits[0, n:], logits[2:, n:]),
    )
    names = ("loss", "modified_entropy", "shadow", "lira_online", "lira_offline", "rmia")
    values = {name: create("membership", name, {}).scores(evidence) for name in names}
    return {name: roc(value, inside[0, :n]).auc for name, value in values.items()}


def test_an_overfitted_model_is_seen_through():
    found = areas(Recipe(epochs=60, batch=10, lr=0.05, momentum=0.9))
    assert all(area > 0.9 for area in found.values()), found


def test_a_model_that_never_learned_is_not():
    found = areas(Recipe(epochs=1, batch=60, lr=1e-7))
    error = np.sqrt(2 / 60 / 12)
    assert all(abs(area - 0.5) < 4 * error for area in found.values()), found


def test_what_is_slower_in_one_program_is_trained_one_by_one():
    pixels = pool().pixels
    assert (at_once(small(), pixels), at_once(branching(), pixels)) == (COPIES, 1)


def test_logits_of_a_confidence_have_it():
    """The tests' own construction."""
    labels = np.array([0, 2])
    p = np.exp(logits_of([1.5, -4.0], labels))
    p = (p / p.sum(1, keepdims=True))[[0, 1], labels]
    np.testing.assert_allclose(np.log(p / (1 - p)), [1.5, -4.0])
