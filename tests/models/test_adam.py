import copy

import pytest
import torch

from gauntlet.models.adam import Adam


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_updates_equal_those_of_torchs_optimizer(decay):
    ours, theirs = network(), network()
    optimizer = Adam([([*ours[0].parameters()], 1e-2), ([*ours[2].parameters()], 1e-1)], decay, clip=0.02)
    reference = torch.optim.AdamW(
        [{"params": theirs[0].parameters(), "lr": 1e-2}, {"params": theirs[2].parameters(), "lr": 1e-1}],
        weight_decay=decay,
    )
    for _ in range(20):
        x = torch.randn(8, 4)
        optimizer.descend(ours(x).square().mean())
        reference.zero_grad()
        theirs(x).square().mean().backward()
        torch.nn.utils.clip_grad_value_(theirs.parameters(), 0.02)
        reference.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q)
    assert not torch.equal(ours[0].weight, network()[0].weight)


def test_the_state_carries_on_exactly():
    net = network()
    optimizer = Adam([([*net.parameters()], 1e-2)])
    batches = torch.randn(6, 8, 4, generator=torch.Generator().manual_seed(1))
    for x in batches[:3]:
        optimizer.descend(net(x).square().mean())
    weights, state = copy.deepcopy(net.state_dict()), copy.deepcopy(optimizer.state_dict())
    for x in batches[3:]:
        optimizer.descend(net(x).square().mean())
    other = network()
    other.load_state_dict(weights)
    resumed = Adam([([*other.parameters()], 1e-2)])
    resumed.load_state_dict(state)
    for x in batches[3:]:
        resumed.descend(other(x).square().mean())
    assert all(torch.equal(net.state_dict()[k], other.state_dict()[k]) for k in weights)


def test_a_parameter_out_of_reach_stays():
    net = network()
    before = net[0].weight.clone()
    Adam([([*net.parameters()], 1e-2)]).descend(net[2](torch.randn(3, 5)).sum())
    assert torch.equal(net[0].weight, before)
