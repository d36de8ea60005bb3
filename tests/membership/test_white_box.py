"""Attacks that see gradients, updates or released samples."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.spatial.distance import cdist
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import create
from gauntlet.membership.base import Evidence, Observed, Shadows
from gauntlet.metrics.membership import best_threshold, roc
from gauntlet.models.classifiers import build
from gauntlet.models.copies import state_of
from gauntlet.models.gradients import flat, of_examples


def scores(name, evidence, **settings):
    return create("membership", name, settings).scores(evidence)


def network(name="cnn2_bn", seed=0, size=8):
    torch.manual_seed(seed)
    net = build(name, 1, size, 4).double()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, std=0.1)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return net.eval()


def pictures(n=12, size=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(n, 1, size, size, generator=generator, dtype=torch.float64)
    return pixels, torch.randint(4, (n,), generator=generator)


def one_by_one(net, pixels, labels):
    """(n, P) gradients as anyone would compute them."""
    rows = []
    for x, y in zip(pixels, labels, strict=True):
        loss = F.cross_entropy(net(x[None]), y[None])
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(net.parameters()))]))
    return torch.stack(rows)


@pytest.mark.parametrize("name", ["cnn2_bn", "lenet", "resnet18"])
def test_gradients_of_examples_are_those_of_each_alone(name):
    """Stacked copies, and those of a network with branches."""
    size = 12 if name == "lenet" else 8
    net, (pixels, labels) = network(name, size=size), pictures(3, size)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    found = torch.cat(list(of_examples(net, state_of(net), pixels, labels.numpy())))
    torch.testing.assert_close(found, one_by_one(net, pixels, labels), rtol=1e-9, atol=1e-9)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_blocks_keep_the_order(monkeypatch):
    monkeypatch.setattr("gauntlet.models.gradients.BLOCK", 5)
    net, (pixels, labels) = network(), pictures()
    blocks = list(of_examples(net, state_of(net), pixels, labels))
    assert [len(block) for block in blocks] == [5, 5, 2]
    torch.testing.assert_close(torch.cat(blocks), one_by_one(net, pixels, labels))


def test_the_gradient_norm():
    net, (pixels, labels) = network(), pictures()
    evidence = Evidence(labels=labels.numpy(), images=pixels, net=net)
    norms = one_by_one(net, pixels, labels).norm(dim=1).numpy()
    np.testing.assert_allclose(scores("gradient_norm", evidence), -norms)


def test_the_gradient_norm_with_thresholds_of_classes():
    nets, (pixels, labels) = [network(seed=seed) for seed in range(3)], pictures(40)
    inside = np.random.default_rng(0).random((2, 40)) < 0.5
    shadows = Shadows(np.zeros((2, 40, 4)), inside, [state_of(net) for net in nets[1:]])
    evidence = Evidence(labels=labels.numpy(), images=pixels, net=nets[0], shadows=shadows)
    expected = -one_by_one(nets[0], pixels, labels).norm(dim=1).numpy()
    theirs = -np.stack([one_by_one(net, pixels, labels).norm(dim=1).numpy() for net in nets[1:]])
    for label in range(4):
        own = labels.numpy() == label
        expected[own] -= best_threshold(theirs[:, own].ravel(), inside[:, own].ravel())
    np.testing.assert_allclose(scores("gradient_norm", evidence, per_class=True), expected)
    without = replace(evidence, shadows=replace(shadows, states=None))
    with pytest.raises(GauntletError, match="not their logits alone"):
        scores("gradient_norm", without, per_class=True)


def updates(rows, rounds=2):
    """What a client with ``rows`` of the pictures sends: one step on all of them per round."""
    net, (pixels, labels) = network(), pictures(40)
    seen = []
    for _ in range(rounds):
        start = {key: value.clone() for key, value in state_of(net).items()}
        loss = F.cross_entropy(net(pixels[rows]), labels[rows])
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(net.parameters(), gradients, strict=True):
                parameter -= 0.5 * gradient
        change = {key: value - start[key] for key, value in state_of(net).items()}
        seen.append(Observed(start, change))
    return Evidence(labels=labels.numpy(), images=pixels, net=net, updates=seen)


def test_an_update_of_one_example_points_down_its_gradient():
    assert scores("update_cosine", updates([7]))[7] == pytest.approx(1)


def test_the_cosine_is_the_mean_over_rounds():
    evidence = updates(list(range(20)))
    net, total = network(), 0
    for seen in evidence.updates:
        net.load_state_dict(seen.start, strict=False)
        gradients = one_by_one(net, evidence.images, torch.from_numpy(evidence.labels))
        u = flat(net, seen.change)
        total = total - (gradients @ u) / gradients.norm(dim=1) / u.norm()
    np.testing.assert_allclose(scores("update_cosine", evidence), total.numpy() / 2)


def test_members_are_nearer_to_the_update():
    evidence = updates(list(range(4)))
    assert roc(scores("update_cosine", evidence), np.arange(40) < 4).auc > 0.75


def test_an_update_of_length_zero_tells_nothing():
    evidence = updates([0], rounds=1)
    still = {key: torch.zeros_like(value) for key, value in evidence.updates[0].change.items()}
    quiet = replace(evidence, updates=[Observed(evidence.updates[0].start, still)])
    assert not scores("update_cosine", quiet).any()


# What is near to released samples


def released(n=30, r=7, seed=0):
    pixels, labels = pictures(n, seed=seed)
    samples, classes = pictures(r, seed=seed + 1)
    return Evidence(
        labels=labels.numpy(), images=pixels, released=samples, released_labels=classes.numpy(), net=network()
    )


def test_the_distance_is_that_to_the_nearest():
    evidence = released()
    everywhere = cdist(evidence.images.flatten(1), evidence.released.flatten(1))
    np.testing.assert_allclose(scores("distilled_distance", evidence), -everywhere.min(1), rtol=1e-6)
    other = evidence.labels[:, None] != evidence.released_labels
    within = np.where(other, np.inf, everywhere).min(1)
    assert (within > everywhere.min(1)).any()
    if np.isin(evidence.labels, evidence.released_labels).all():
        np.testing.assert_allclose(
            scores("distilled_distance", evidence, same_class=True), -within, rtol=1e-6
        )


def test_distances_in_features_are_those_before_the_last_layer():
    evidence = released()
    evidence = replace(
        evidence,
        images=evidence.images.float(),
        released=evidence.released.float(),
        net=evidence.net.float(),
    )
    with torch.no_grad():
        seen = []
        evidence.net[-1].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0].flatten(1)))
        evidence.net(evidence.images)
        evidence.net(evidence.released)
    expected = cdist(*seen).min(1)
    np.testing.assert_allclose(scores("distilled_distance", evidence, space="features"), -expected, rtol=1e-4)


def test_a_released_training_image_is_found_exactly():
    """Expanded squares would leave a distance of about 1e-3 from bright images to themselves."""
    images = torch.rand(500, 1, 28, 28, generator=torch.Generator().manual_seed(0)) + 30
    evidence = Evidence(labels=np.zeros(500, int), images=images, released=images[:50])
    found = scores("distilled_distance", evidence)
    assert not found[:50].any()
    assert roc(found, np.arange(500) < 50).auc == 1


def test_a_class_of_which_nothing_was_released_is_named():
    evidence = replace(released(), released_labels=np.zeros(7, int))
    with pytest.raises(GauntletError, match="no sample of class 1"):
        scores("distilled_distance", evidence, same_class=True)


def test_features_need_a_sequence():
    class Whole(nn.Module):
        pass

    with pytest.raises(GauntletError, match="no features of a Whole"):
        scores("distilled_distance", replace(released(), net=Whole()), space="features")
    with pytest.raises(GauntletError, match="needs net"):
        scores("distilled_distance", replace(released(), net=None), space="features")
