"""Classifiers: shapes, sizes, and that reordering layers changed nothing."""

import pytest
import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names
from gauntlet.models import normalised
from gauntlet.models.classifiers import build

#: Architecture -> the images it was made for, smaller ones, and its parameters at the former with 10 classes.
NETWORKS = {
    "cnn2_bn": ((1, 28), (1, 8), 29_034),
    "cnn3": ((3, 96), (1, 47), 390_602),
    "cnn6_bn": ((3, 32), (1, 8), 551_466),
    "convnet2": ((1, 16), (3, 8), 14_826),
    "convnet3": ((3, 32), (1, 8), 320_010),
    "lenet": ((1, 28), (3, 12), 61_706),
    "net3conv": ((1, 28), (3, 8), 243_830),
    "plain3conv": ((1, 28), (3, 8), 54_666),
    "net4conv": ((1, 28), (3, 16), 101_180),
    "resnet18": ((3, 32), (1, 8), 11_173_962),
    "resnet34": ((3, 32), (1, 8), 21_282_122),
    "vgg11_bn": ((3, 32), (1, 28), 9_231_114),
    "vgg16_bn": ((3, 32), (1, 28), 14_728_266),
}
#: The networks whose paper has ReLU before pooling.
REORDERED = ["cnn2_bn", "cnn3", "cnn6_bn"]


def batch(channels, size, n=4):
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(1))


def network(name, channels, size, classes=10):
    torch.manual_seed(0)
    return build(name, channels, size, classes)


def test_every_classifier_is_tested():
    assert set(NETWORKS) == set(names("classifier"))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("which", [0, 1], ids=["paper", "small"])
@pytest.mark.parametrize("classes", [3, 10])
def test_logits_depend_on_every_image_and_every_parameter(name, which, classes):
    channels, size = NETWORKS[name][which]
    net = network(name, channels, size, classes)
    images = batch(channels, size).requires_grad_()
    net.train()
    logits = net(images)
    assert logits.shape == (4, classes)
    assert (logits[0] - logits[1]).abs().max() > 1e-6
    # Sums of logits are constant in what BatchNorm removes; squares are not.
    gradients = torch.autograd.grad((logits**2).sum(), [images, *net.parameters()])
    assert (gradients[0].flatten(1).abs().sum(dim=1) > 0).all()
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients[1:])
    net.eval()
    alone = torch.cat([net(image[None]) for image in images])
    torch.testing.assert_close(alone, net(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_are_as_many_as_the_papers(name):
    (channels, size), _, count = NETWORKS[name]
    assert sum(parameter.numel() for parameter in build(name, channels, size, 10).parameters()) == count


def papers(name):
    """The networks in the paper's order of layers."""

    def pair(inputs, width):
        layers = []
        for channels in (inputs, width):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(width)]
        return [*layers, nn.MaxPool2d(2)]

    def block(inputs, width):
        return [nn.Conv2d(inputs, width, 5, padding=2), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]

    layers = {
        "cnn2_bn": [*block(1, 16), *block(16, 32), nn.Flatten(), nn.Linear(7 * 7 * 32, 10)],
        "cnn6_bn": [
            *pair(3, 32), *pair(32, 64), *pair(64, 128),
            nn.Flatten(), nn.Linear(2048, 128), nn.Linear(128, 10),
        ],
        "cnn3": [
            nn.Conv2d(3, 96, 7, stride=2), nn.ReLU(), nn.Conv2d(96, 64, 5, stride=2), nn.ReLU(),
            nn.Conv2d(64, 128, 3, stride=2), nn.ReLU(), nn.MaxPool2d(3), nn.Flatten(),
            nn.Linear(1152, 128), nn.ReLU(), nn.Linear(128, 10),
        ],
    }  # fmt: skip
    return nn.Sequential(*layers[name])


@pytest.mark.parametrize("name", REORDERED)
@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
def test_the_papers_order_of_layers_gives_the_same_values_and_gradients(name, training):
    channels, size = NETWORKS[name][0]
    ours, theirs = network(name, channels, size).double(), papers(name).double()
    mine, other = list(ours.parameters()), list(theirs.parameters())
    assert [p.shape for p in mine] == [p.shape for p in other]
    with torch.no_grad():
        for a, b in zip(mine, other, strict=True):
            if a.dim() == 1:  # biases, and BatchNorm's weights: not all ones
                a.add_(torch.randn_like(a), alpha=0.3)
            b.copy_(a)
    images, labels = batch(channels, size).double(), torch.tensor([1, 3, 3, 9])
    logits, losses = [], []
    for net in (ours, theirs):
        net.train(training)
        logits.append(net(images))
        losses.append(nn.functional.cross_entropy(logits[-1], labels))
    assert logits[0].std() > 0.01
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-12, atol=1e-12)
    found, expected = torch.autograd.grad(losses[0], mine), torch.autograd.grad(losses[1], other)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_logits_are_no_probabilities():
    for name, ((channels, size), _, _) in NETWORKS.items():
        logits = network(name, channels, size).train()(batch(channels, size))
        assert (logits < 0).any()
        assert (logits.sum(dim=1) - 1).abs().min() > 1e-3


def test_images_that_are_too_small_for_the_strides_are_refused():
    assert build("cnn3", 1, 47, 2)(batch(1, 47)).shape == (4, 2)
    for size in (46, 28, 8, 6):
        with pytest.raises(GauntletError, match="at least 47 pixels"):
            build("cnn3", 1, size, 2)


@pytest.mark.parametrize("name", ["vgg11_bn", "vgg16_bn"])
def test_vgg_takes_28_pixels_or_multiples_of_32(name):
    assert build(name, 1, 64, 2).eval()(batch(1, 64, 1)).shape == (1, 2)
    for size in (27, 30, 48):
        with pytest.raises(GauntletError, match="28 pixels or a multiple of 32"):
            build(name, 1, size, 2)


def test_a_normalised_network_sees_zero_mean_and_unit_deviation():
    pixels = batch(3, 8, 50) * torch.tensor([0.2, 0.5, 1.0]).view(3, 1, 1)
    net = normalised.of_images(nn.Identity(), pixels)
    seen = net(pixels).transpose(0, 1).flatten(1)
    torch.testing.assert_close(seen.mean(1), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.std(1), torch.ones(3))
    other = normalised.blank(nn.Identity(), 3)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(pixels), net(pixels))


def test_an_unknown_classifier_is_named():
    with pytest.raises(GauntletError, match="did you mean 'cnn2_bn'"):
        build("cnn2_bm", 1, 28, 10)
