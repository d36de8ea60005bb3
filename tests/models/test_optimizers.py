import copy

import pytest
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.models.optimizers import Adam, CoupledAdam, RmsProp, Sgd, make


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))


#: Ours and torch's, by weight decay.
PAIRS = {
    "adam": (Adam, torch.optim.AdamW),
    "adam_betas": (
        lambda groups, decay, clip: Adam(groups, decay, clip, betas=(0.5, 0.9)),
        lambda groups, weight_decay: torch.optim.AdamW(groups, weight_decay=weight_decay, betas=(0.5, 0.9)),
    ),
    "coupled_adam": (CoupledAdam, torch.optim.Adam),
    "sgd": (Sgd, torch.optim.SGD),
    "momentum": (
        lambda groups, decay, clip: Sgd(groups, decay, clip, momentum=0.9),
        lambda groups, weight_decay: torch.optim.SGD(groups, weight_decay=weight_decay, momentum=0.9),
    ),
    "rmsprop": (RmsProp, torch.optim.RMSprop),
}


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("pair", PAIRS)
def test_updates_equal_those_of_torchs_optimizer(pair, decay):
    ours, theirs = network(), network()
    mine, torchs = PAIRS[pair]
    optimizer = mine([([*ours[0].parameters()], 1e-2), ([*ours[2].parameters()], 1e-1)], decay, 0.02)
    reference = torchs(
        [{"params": theirs[0].parameters(), "lr": 1e-2}, {"params": theirs[2].parameters(), "lr": 1e-1}],
        weight_decay=decay,
    )
    for step in range(20):
        x = torch.randn(8, 4)
        factor = 1.0 if step < 10 else 0.3
        for group, lr in zip(reference.param_groups, (1e-2, 1e-1), strict=True):
            group["lr"] = lr * factor
        optimizer.descend(ours(x).square().mean(), factor)
        reference.zero_grad()
        theirs(x).square().mean().backward()
        torch.nn.utils.clip_grad_value_(theirs.parameters(), 0.02)
        reference.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q)
    assert not torch.equal(ours[0].weight, network()[0].weight)


@pytest.mark.parametrize("pair", PAIRS)
def test_a_gradient_may_lie_otherwise_in_memory_than_its_parameter(pair):
    shape = (2, 3, 4, 5)
    gradients = [torch.randn(shape) for _ in range(3)]
    plain, odd = torch.ones(shape), torch.ones(shape)
    one, other = (PAIRS[pair][0]([([weights], 0.1)], 0.0, None) for weights in (plain, odd))
    for gradient in gradients:
        one.step([gradient.clone()])
        other.step([gradient.to(memory_format=torch.channels_last)])
    torch.testing.assert_close(plain, odd)


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop"])
def test_the_state_carries_on_exactly(name):
    def optimizer(net):
        return make(name, [([*net.parameters()], 1e-2)], momentum=0.9)

    net = network()
    first = optimizer(net)
    batches = torch.randn(6, 8, 4, generator=torch.Generator().manual_seed(1))
    for x in batches[:3]:
        first.descend(net(x).square().mean())
    weights, state = copy.deepcopy(net.state_dict()), copy.deepcopy(first.state_dict())
    for x in batches[3:]:
        first.descend(net(x).square().mean())
    other = network()
    other.load_state_dict(weights)
    resumed = optimizer(other)
    resumed.load_state_dict(state)
    for x in batches[3:]:
        resumed.descend(other(x).square().mean())
    assert all(torch.equal(net.state_dict()[k], other.state_dict()[k]) for k in weights)


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop"])
def test_a_parameter_out_of_reach_stays(name):
    net = network()
    before = net[0].weight.clone()
    make(name, [([*net.parameters()], 1e-2)], weight_decay=0.1).descend(net[2](torch.randn(3, 5)).sum())
    assert torch.equal(net[0].weight, before)


def test_an_unknown_optimizer_is_named():
    with pytest.raises(GauntletError, match="did you mean 'rmsprop'"):
        make("rmspop", [])


def test_frozen_parameters_stay():
    net = network()
    net[0].requires_grad_(False)
    optimizer = Adam([([*net.parameters()], 1e-2)], weight_decay=0.1)
    before = copy.deepcopy(net)
    optimizer.descend(net(torch.ones(3, 4)).square().mean())
    assert torch.equal(net[0].weight, before[0].weight)
    assert not torch.equal(net[2].weight, before[2].weight)
