import math

import pytest
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names
from gauntlet.models import build, restore
from gauntlet.models.ensemble import Ensemble

ARCHITECTURES = names("model")


def test_the_architectures_are_there():
    assert {"bn_inception", "conv", "mobilenet_v2", "resnet18", "resnet50"} <= set(ARCHITECTURES)


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (1, 28), (3, 32), (3, 64)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_unit_vectors_that_depend_on_the_image(architecture, channels, size):
    torch.manual_seed(0)
    net = build(architecture, channels, size, 16)
    images = torch.rand(4, channels, size, size, requires_grad=True)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the next batch's statistics replace the initial ones
    net.train()
    net(images)
    net.eval()
    embeddings = net(images)
    assert embeddings.shape == (4, 16)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(4))
    assert (embeddings[0] - embeddings[1]).abs().max() > 1e-6
    gradient = torch.autograd.grad(embeddings.sum(), images)[0]
    assert (gradient.flatten(1).abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50", "mobilenet_v2", "bn_inception"])
def test_small_images_keep_their_resolution_at_the_stem(architecture):
    small, large = build(architecture, 3, 32, 8), build(architecture, 3, 64, 8)
    assert small.features(torch.rand(2, 3, 32, 32)).shape[2:] == (4, 4)
    assert large.features(torch.rand(2, 3, 64, 64)).shape[2:] == (2, 2)


def test_folding_the_norm_into_the_convolution_changes_nothing():
    torch.manual_seed(0)
    net = build("conv", 1, 28, 8)
    net.train()
    for _ in range(3):
        net(torch.rand(16, 1, 28, 28) * 2)
    for block in net.features:  # an affine part that is not the identity
        torch.nn.init.uniform_(block.norm.weight, 0.5, 2.0)
        torch.nn.init.normal_(block.norm.bias)
    net.eval()
    images = torch.rand(5, 1, 28, 28)
    plain = images
    for block in net.features:
        plain = torch.relu(block.norm(block.conv(plain)))
    torch.testing.assert_close(net.features(images), plain, atol=1e-4, rtol=1e-4)


def test_the_ensembles_cosine_is_the_mean_of_its_members_cosines():
    torch.manual_seed(0)
    members = [build("conv", 1, 8, 6).eval() for _ in range(3)]
    ensemble = Ensemble(members)
    images = torch.rand(5, 1, 8, 8)
    together = ensemble(images)
    assert together.shape == (5, 18)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(5))
    mean = sum(member(images) @ member(images).T for member in members) / 3
    torch.testing.assert_close(together @ together.T, mean)
    torch.testing.assert_close(together[:, :6] * math.sqrt(3), members[0](images))


def test_an_unknown_architecture_is_named():
    with pytest.raises(GauntletError, match="did you mean 'resnet18'"):
        build("resnet_18", 1, 28, 8)


def test_a_network_is_restored_from_its_state():
    torch.manual_seed(0)
    net = build("conv", 1, 8, 6).eval()
    images = torch.rand(3, 1, 8, 8)
    restored = restore("conv", 1, 8, net.state_dict()).eval()
    torch.testing.assert_close(restored(images), net(images), rtol=0, atol=0)


@pytest.mark.parametrize("state", [{}, {"head.linear.bias": torch.zeros(6)}])
def test_weights_of_another_network_are_refused(state):
    with pytest.raises(GauntletError, match=r"model.safetensors: these are not weights of 'conv'"):
        restore("conv", 1, 8, state, file="model.safetensors")
