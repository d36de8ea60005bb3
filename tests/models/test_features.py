"""What enters the last layer."""

import pytest
import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.models.classifiers import build
from gauntlet.models.features import penultimate


@pytest.mark.parametrize("architecture", ["convnet2", "cnn2_bn", "resnet18"])
def test_the_last_layer_makes_the_logits_of_it(architecture):
    net = build(architecture, 1, 16, 7).eval()
    images = torch.rand(501, 1, 16, 16)[: 501 if architecture == "convnet2" else 3]
    last = [module for module in net.modules() if isinstance(module, nn.Linear)][-1]
    found = penultimate(net, images)
    assert found.shape == (len(images), last.in_features)
    with torch.no_grad():
        assert torch.allclose(last(found), net(images), atol=1e-5)
    assert not last._forward_pre_hooks


def test_a_network_without_a_linear_layer_is_refused():
    with pytest.raises(GauntletError, match="no linear layer in a Conv2d"):
        penultimate(nn.Conv2d(1, 1, 1), torch.rand(1, 1, 4, 4))
