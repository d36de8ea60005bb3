"""The size of networks, against published counts and by hand."""

import pytest
import torch
from torchvision.models import ResNet18_Weights, ResNet50_Weights

from gauntlet.models import build, classifiers, operations

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.mark.parametrize(
    ("name", "published"), [("resnet18", ResNet18_Weights), ("resnet50", ResNet50_Weights)]
)
def test_backbones_have_the_operations_that_torchvision_publishes(name, published):
    """In billions of products, on 224 pixels; only the last layer has another width."""
    found = operations.size("model", name, 3, 224, 1000)
    assert found.operations / 2e9 == pytest.approx(published.DEFAULT.meta["_ops"], rel=0.002)


def test_lenet_by_hand():
    net = classifiers.build("lenet", 1, 28, 10)
    convolutions = [module for module in net.modules() if type(module).__name__ == "Conv2d"]
    shapes = [(module.out_channels, module.in_channels, *module.kernel_size) for module in convolutions]
    assert shapes == [(6, 1, 5, 5), (16, 6, 5, 5)]
    products = 6 * 25 * 28 * 28 + 16 * 6 * 25 * 10 * 10 + 400 * 120 + 120 * 84 + 84 * 10
    weights = 6 * 26 + 16 * (6 * 25 + 1) + 401 * 120 + 121 * 84 + 85 * 10
    assert operations.size("classifier", "lenet", 1, 28, 10) == (2 * products, weights)


def test_counting_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    operations.count(build, "conv", 1, 8, 16)
    operations.count(build, "resnet18", 1, 8, 16)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_was_counted_is_read_again(monkeypatch):
    first = operations.size("model", "conv", 1, 8, 16)
    operations.size.cache_clear()
    monkeypatch.setattr(operations, "count", None)
    assert operations.size("model", "conv", 1, 8, 16) == first
