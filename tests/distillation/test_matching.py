"""Gradient and distribution matching against closed forms on linear models, and bilevel on the union."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toy_distillation import (
    CLASSES,
    SIZE,
    begun,
    convolutional,
    distilled,
    images,
    linear,
    model,
    owners,
    setting,
)

from gauntlet.core.errors import GauntletError
from gauntlet.core.seeds import torch_generator
from gauntlet.distillation.gradient_matching import distance, gradients
from gauntlet.models.copies import copies, state_of

DOUBLE = torch.float64
EXACT = {"rtol": 1e-9, "atol": 1e-9}
#: Client 1 owns nothing of class 2. Batches take in everything.
WITHOUT = ((1, 2),)
ALL = 100


def world(make=linear):
    found = images(dtype=DOUBLE)
    return setting(make, found, owners(found.labels, without=WITHOUT))


def own(on, client, label):
    """(n, D) a client's images of a class."""
    rows = on.rows[client]
    return on.images.pixels[rows[on.images.labels[rows] == label]].flatten(1).numpy()


def slopes(weight, bias, points, label):
    """Gradient of the mean cross-entropy of a linear model: ((p - y) x^T, p - y), mean over the points."""
    logits = points @ weight.T + bias
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    p[:, label] -= 1
    return p.T @ points / len(points), p.mean(0)


def unlike(a, b):
    """Sum over the rows of two matrices of 1 - cosine."""
    return sum(1 - x @ y / (np.linalg.norm(x) * np.linalg.norm(y) + 1e-6) for x, y in zip(a, b, strict=True))


def opened(name, on, **options):
    method = begun(name, on, batch=ALL, **options)
    method.open(1, {key: value.double() for key, value in model(method).items()}, None)
    return method


def drawn(method):
    return torch_generator(0, "distillation", method.round, method.updates)


def test_the_distance_is_1_less_the_cosine_per_output_node_without_biases():
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 4, 3, 3, 3), (2, 4), (2, 5, 7), (2, 5)]
    a, b = ([torch.randn(shape, generator=generator, dtype=DOUBLE) for shape in shapes] for _ in range(2))
    expected = [
        sum(
            unlike(x[g].flatten(1).numpy(), y[g].flatten(1).numpy())
            for x, y in zip(a, b, strict=True)
            if x.dim() > 2
        )
        for g in range(2)
    ]
    torch.testing.assert_close(distance(a, b), torch.tensor(expected, dtype=DOUBLE), **EXACT)
    assert distance(a, a).abs().max() < 1e-5
    torch.testing.assert_close(
        distance(a, [-x for x in a]), torch.full((2,), 18.0, dtype=DOUBLE), rtol=1e-5, atol=0
    )


def test_gradient_matching_of_a_linear_model_has_a_closed_form():
    """Three clients in one program, one of them without a class."""
    on = world()
    method = opened("gradient_matching", on, per_class=2, iterations=1)
    weight, bias = (model(method)[name].double().numpy() for name in ("1.weight", "1.bias"))
    found = method.objective(drawn(method))
    synthetic = method.live["images"].detach().view(3, CLASSES, 2, -1).numpy()
    for client in range(3):
        expected = 0.0
        for label in range(CLASSES):
            real = own(on, client, label)
            if len(real):
                ours, _ = slopes(weight, bias, synthetic[client, label], label)
                expected += unlike(ours, slopes(weight, bias, real, label)[0])
        assert found[client].item() == pytest.approx(expected, rel=1e-9)
    assert len({round(value, 6) for value in found.tolist()}) == 3


def test_gradients_of_many_copies_are_those_of_one_by_one():
    net = convolutional().double()
    theta = {name: torch.stack([value, 2 * value]) for name, value in state_of(net).items()}
    pixels, labels = torch.rand(2, 5, 1, SIZE, SIZE, dtype=DOUBLE), torch.tensor([2, 0])
    weights = torch.tensor([[1.0] * 5, [1, 1, 1, 0, 0]], dtype=DOUBLE)
    leaves = {name: value.clone().requires_grad_() for name, value in theta.items()}
    found = gradients(copies(net), leaves, pixels, labels, weights)
    for copy, count in enumerate((5, 3)):
        net.load_state_dict({name: value[copy] for name, value in theta.items()})
        loss = F.cross_entropy(net(pixels[copy, :count]), labels[copy].repeat(count))
        for one, other in zip(torch.autograd.grad(loss, list(net.parameters())), found, strict=True):
            torch.testing.assert_close(other[copy], one, **EXACT)


def test_samples_that_are_the_real_images_have_nothing_to_match():
    found = images(each=6, dtype=DOUBLE)
    on = setting(linear, found, owners(found.labels))
    for name in ("gradient_matching", "distribution_matching"):
        method = opened(name, on, per_class=2, start="real", nets="current")
        assert method.objective(drawn(method)).abs().max() < 1e-4
        method = opened(name, on, per_class=2, nets="current")
        assert method.objective(drawn(method)).min() > 1e-3


def test_the_matched_model_follows_training_on_the_samples_and_starts_again():
    """outer 2, inner 3: one stretch of training after the first update, none after the second."""
    on = world()
    method = opened("gradient_matching", on, per_class=2, iterations=4, outer=2, inner=3, lr_net=0.4)
    start = {name: value.double() for name, value in model(method).items()}
    labels = torch.arange(CLASSES).repeat_interleave(2)
    method.step()
    for client in range(3):
        net, there = linear().double(), method.sets.present[client]
        net.load_state_dict(start)
        optimiser = torch.optim.SGD(net.parameters(), lr=0.4)
        for _ in range(3):
            optimiser.zero_grad()
            F.cross_entropy(net(method.live["images"][client].detach()[there]), labels[there]).backward()
            optimiser.step()
        for name, value in state_of(net).items():
            torch.testing.assert_close(method.theta[name][client], value, **EXACT)
    method.step()
    method.step()
    assert method.updates == 3
    before = method.theta
    method.step()
    assert method.finished
    assert all(torch.equal(value, before[name]) for name, value in method.theta.items())


def test_distribution_matching_of_pixels_is_the_distance_of_class_means():
    """With the identity for an embedding: sum over classes of the squared distance of means."""
    on = world()
    method = opened("distribution_matching", on, per_class=2, iterations=1)
    found = method.objective(drawn(method))
    synthetic = method.live["images"].detach().view(3, CLASSES, 2, -1).numpy()
    for client in range(3):
        means = [(own(on, client, label), synthetic[client, label]) for label in range(CLASSES)]
        expected = sum(((a.mean(0) - b.mean(0)) ** 2).sum() for a, b in means if len(a))
        assert found[client].item() == pytest.approx(expected, rel=1e-9)
    (gradient,) = torch.autograd.grad(found.sum(), [method.live["images"]])
    gradient = gradient.view(3, CLASSES, 2, -1)
    expected = (synthetic[0, 1].mean(0) - own(on, 0, 1).mean(0)) * 2 / 2
    np.testing.assert_allclose(gradient[0, 1], np.stack([expected, expected]), rtol=1e-9, atol=1e-12)
    assert not gradient[1, 2].any()


def test_distribution_matching_ends_at_the_class_means():
    on = world()
    method = begun(
        "distribution_matching", on, per_class=2, iterations=800, batch=ALL, lr=0.01, pixels="free"
    )
    found = distilled(method).images.view(3, CLASSES, 2, -1).mean(2).numpy()
    for client in range(3):
        for label in range(CLASSES):
            if len(real := own(on, client, label)):
                np.testing.assert_allclose(found[client, label], real.mean(0), atol=2e-3)


def test_distribution_matching_needs_a_last_linear_layer():
    for make in (lambda: nn.Sequential(nn.Linear(2, 2), nn.ReLU()), lambda: nn.Linear(2, 2)):
        on = setting()
        with pytest.raises(GauntletError, match="linear last layer") as caught:
            begun("distribution_matching", on.__class__(**{**vars(on), "net": make()}))
        assert caught.value.key == "architecture"


@pytest.mark.parametrize("link", [True, False])
def test_later_rounds_train_on_the_union_of_own_and_received_samples(link):
    """FLiP's objective in round 2, with a loop over clients and a linear model by hand."""
    on = world()
    method = begun("bilevel", on, per_class=2, iterations=2, batch=ALL, inner=3, step=0.7, link=link)
    first = distilled(
        method, start={name: value.double() for name, value in model(method).items()}
    ).averaged()
    start = {name: torch.randn_like(value, dtype=DOUBLE) for name, value in model(method).items()}
    method.open(2, start, first)
    with torch.no_grad():
        method.live["images"].add_(0.1)
        method.live["logits"].mul_(0.5)
    found = method.objective(drawn(method))
    labels = method.live["logits"].softmax(-1).detach()
    for client in range(3):
        others = [other for other in range(3) if other != client] if link else []
        there = [first.present[which] for which in (client, *others)]
        parts = [(method.live["images"][client].detach(), labels[client])]
        parts += [(first.images[other], first.labels[other]) for other in others]
        x = torch.cat([part[0][some] for part, some in zip(parts, there, strict=True)]).flatten(1).numpy()
        y = torch.cat([part[1][some] for part, some in zip(parts, there, strict=True)]).numpy()
        weight, bias = start["1.weight"].numpy(), start["1.bias"].numpy()
        for size in first.steps[client].double().numpy():
            logits = x @ weight.T + bias
            p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - y
            weight, bias = weight - size * p.T @ x / len(x), bias - size * p.mean(0)
        rows = on.rows[client]
        logits = torch.from_numpy(on.images.pixels[rows].flatten(1).numpy() @ weight.T + bias)
        assert found[client].item() == pytest.approx(
            F.cross_entropy(logits, on.images.labels[rows]).item(), rel=1e-6
        )
