"""Small clients with images that a linear model tells apart, and methods on them."""

import torch
from torch import nn

from gauntlet.core.registry import create
from gauntlet.core.seeds import seeded
from gauntlet.data.subset import Images
from gauntlet.distillation.base import Setting
from gauntlet.models.classifiers import build
from gauntlet.models.copies import state_of

CLASSES, SIZE = 3, 4

#: The outer objectives.
OBJECTIVES = ("bilevel", "gradient_matching", "distribution_matching")


def images(each=12, noise=0.1, seed=0, dtype=torch.float32):
    """``each`` images of every class, (3 each, 1, 4, 4) in [0, 1]; a row of its own is bright in each."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(CLASSES).repeat_interleave(each)
    pixels = 0.2 + noise * torch.randn(len(labels), 1, SIZE, SIZE, generator=generator)
    pixels[torch.arange(len(labels)), 0, labels] += 0.5
    return Images(pixels.clamp(0, 1).to(dtype), labels)


def owners(labels, clients=3, without=()):
    """Every client's rows, dealt in turn; ``without`` are (client, class) pairs that are left out."""
    rows = [torch.arange(client, len(labels), clients) for client in range(clients)]
    for client, label in without:
        rows[client] = rows[client][labels[rows[client]] != label]
    return rows


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(SIZE**2, CLASSES))


def convolutional():
    return build("convnet2", 1, SIZE, CLASSES)


def setting(make=linear, world=None, rows=None, seed=0):
    world = images() if world is None else world

    def fresh(*names):
        with seeded(seed, *names):
            return state_of(make().to(world.pixels.dtype))

    with seeded(seed, "init"):
        net = make().to(world.pixels.dtype)
    return Setting(net, world, owners(world.labels) if rows is None else rows, CLASSES, seed, fresh)


def begun(name, on=None, **options):
    """The method, ready for its first round."""
    method = create("distillation", name, options)
    method.begin(setting() if on is None else on)
    return method


def model(method):
    return {name: value.clone() for name, value in state_of(method.setting.net).items()}


def distilled(method, round=1, received=None, start=None):
    """What the clients share after a round."""
    method.open(round, model(method) if start is None else start, received)
    while not method.finished:
        method.step()
    return method.close()
