"""Frozen BatchNorm, and which parameters belong to the head."""

import copy

import pytest
import torch

from gauntlet.models import build
from gauntlet.models.frozen import backbone_parameters, freeze_batchnorm, head_parameters
from gauntlet.models.optimizers import Adam


def norms(net):
    return [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]


@pytest.mark.parametrize("architecture", ["conv", "bn_inception"])
def test_a_training_step_leaves_frozen_batchnorm_as_it_was(architecture):
    torch.manual_seed(0)
    net = build(architecture, 3, 16, 4)
    names = list(net.state_dict())
    assert freeze_batchnorm(net) is net
    net.train()
    before = copy.deepcopy(net.state_dict())
    groups = [(head_parameters(net), 0.1), (backbone_parameters(net), 0.1)]
    Adam(groups, weight_decay=0.1).descend(net(torch.rand(4, 3, 16, 16)).sum())
    frozen = {id(value) for norm in norms(net) for value in norm.state_dict(keep_vars=True).values()}
    assert list(net.state_dict()) == names
    for name, value in net.state_dict(keep_vars=True).items():
        same = torch.equal(value, before[name])
        assert same == (id(value) in frozen), name
    assert net.training
    assert not any(norm.training for norm in norms(net))
    assert not any(norm.training for norm in norms(copy.deepcopy(net).train()))


def test_frozen_training_computes_what_eval_mode_does():
    torch.manual_seed(0)
    net = build("resnet18", 3, 16, 4)
    net(torch.rand(8, 3, 16, 16))
    images = torch.rand(2, 3, 16, 16)
    net.eval()
    expected = net(images)
    freeze_batchnorm(net).train()
    torch.testing.assert_close(net(images), expected)


def test_head_and_backbone_are_all_there_is_and_share_nothing():
    net = build("conv", 1, 8, 4)
    head, backbone = head_parameters(net), backbone_parameters(net)
    assert {id(p) for p in head} == {id(net.head.linear.weight), id(net.head.linear.bias)}
    assert {id(p) for p in head} | {id(p) for p in backbone} == {id(p) for p in net.parameters()}
    assert len(head) + len(backbone) == len(list(net.parameters()))
    freeze_batchnorm(net)
    assert len(backbone_parameters(net)) == len(backbone) - 2 * len(norms(net))
