"""Tiny clients: a network in double precision, images of 6x6, and the updates of plain SGD."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from gauntlet.core.seeds import torch_generator
from gauntlet.inversion.observation import Observation

SHAPE, CLASSES = (1, 6, 6), 4


def network(seed=0, activation=nn.Sigmoid, norm=False):
    """Two convolutions and a linear head, in eval mode; smooth, for finite differences."""
    torch.manual_seed(seed)
    first, second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3, stride=2, padding=1)
    norms = [nn.BatchNorm2d(3)] if norm else []
    net = nn.Sequential(
        first, *norms, activation(), second, activation(), nn.Flatten(), nn.Linear(36, CLASSES)
    )
    if norm:
        norms[0].running_mean.uniform_(-1, 1)
        norms[0].running_var.uniform_(0.5, 2)
    return net.double().eval()


def images(n, seed=0):
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels(n, seed=0):
    return torch.randint(0, CLASSES, (n,), generator=torch.Generator().manual_seed(100 + seed))


def state(net):
    return {k: v.detach().clone() for k, v in net.state_dict().items() if v.is_floating_point()}


def observe(net, x, y, batch=None, epochs=1, lr=0.1, known=True, orders=None):
    """What a server sees of a client that trains ``net``, shuffled by ``orders``, one per epoch."""
    client, before = copy.deepcopy(net), state(net)
    batch = batch or len(x)
    for epoch in range(epochs):
        order = torch.arange(len(x)) if orders is None else orders[epoch]
        for rows in order.split(batch):
            loss = F.cross_entropy(client(x[rows]), y[rows])
            with torch.no_grad():
                slopes = torch.autograd.grad(loss, list(client.parameters()))
                for value, slope in zip(client.parameters(), slopes, strict=True):
                    value -= lr * slope
    update = {name: before[name] - value.detach() for name, value in client.named_parameters()}
    return Observation(before, update, len(x), batch, epochs, lr, y if known else None)


def generators(targets, restarts=1):
    return [[torch_generator(0, "inversion", t, r) for r in range(restarts)] for t in range(targets)]


def psnr(found, true):
    """(T,) of (T, 1, C, H, W), peak 1."""
    return -10 * (found - true).square().flatten(1).mean(1).log10()
