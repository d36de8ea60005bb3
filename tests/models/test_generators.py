"""Generators: shapes, gradients, and the first weights without negative ones."""

import pytest
import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names
from gauntlet.models.generators import build
from gauntlet.models.generators.base import without_negative_weights

#: Generator -> images it can make, and parameters at the first with 128 noise dimensions.
SHAPES = {"deconv": (((1, 28), (3, 28)), 14_493), "upsample": (((3, 32), (1, 28), (1, 8)), 1_280_515)}


def generator(name, channels, size, activation="relu"):
    torch.manual_seed(0)
    return build(name, channels, size, 128, activation)


def test_every_generator_is_tested():
    assert set(SHAPES) == set(names("generator"))


@pytest.mark.parametrize("name", SHAPES)
def test_images_have_the_targets_shape_and_reach_every_parameter(name):
    for channels, size in SHAPES[name][0]:
        net = generator(name, channels, size, "tanh")
        images = net(torch.randn(4, 128))
        assert images.shape == (4, channels, size, size)
        gradients = torch.autograd.grad((images**2).sum(), list(net.parameters()))
        assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients)


@pytest.mark.parametrize("name", SHAPES)
def test_parameters_are_as_many_as_the_layers_say(name):
    (channels, size), count = SHAPES[name][0][0], SHAPES[name][1]
    assert sum(p.numel() for p in generator(name, channels, size).parameters()) == count


@pytest.mark.parametrize(
    ("activation", "least", "most"), [("relu", 0, None), ("tanh", -1, 1), ("sigmoid", 0, 1)]
)
def test_the_activation_bounds_the_pixels(activation, least, most):
    images = generator("deconv", 1, 28, activation)(3 * torch.randn(50, 128))
    assert images.min() >= least
    assert most is None or images.max() <= most


def test_negative_weights_of_convolutions_alone_are_removed():
    net, before = (generator("deconv", 1, 28) for _ in range(2))
    assert without_negative_weights(net) is net
    for layer, old in zip(net.modules(), before.modules(), strict=True):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert torch.equal(layer.weight, old.weight.clamp(min=0))
            assert (old.weight < 0).any()
            assert torch.equal(layer.bias, old.bias)
        elif isinstance(layer, nn.Linear):
            assert torch.equal(layer.weight, old.weight)


@pytest.mark.parametrize(
    ("name", "size", "activation", "problem"),
    [
        ("deconv", 32, "relu", "choose upsample"),
        ("upsample", 30, "relu", "multiple of 4"),
        ("upsample", 32, "rely", "did you mean 'relu'"),
        ("upsampel", 32, "relu", "did you mean 'upsample'"),
    ],
)
def test_faults_are_named(name, size, activation, problem):
    with pytest.raises(GauntletError, match=problem):
        build(name, 1, size, 16, activation)
