"""A small network, a batch and the defense under test."""

import torch

from gauntlet.core.registry import create, resolve
from gauntlet.core.seeds import torch_generator
from gauntlet.defenses.embeddings.base import Batch, Member, Setting
from gauntlet.losses.proxy_anchor import ProxyAnchor
from gauntlet.models import build

CLASSES, ALPHA, DELTA, EPS = 4, 16.0, 0.1, 0.1


def member(index=0, dim=8):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(index)
        net = build("conv", 1, 8, dim).train()
        proxies = torch.nn.Parameter(torch.randn(CLASSES, dim))
    return Member(index, net, proxies, torch_generator(0, "attack", index))


def batch(n=24):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(n, 1, 8, 8, generator=generator)
    return Batch(images, torch.arange(n) % CLASSES, torch.arange(n))


def setting(members=1, labels=None, **changes):
    labels = batch().labels if labels is None else labels
    fields = {"seed": 0, "loss": ProxyAnchor(ALPHA, DELTA), "eps": EPS, "step": 0.05, "steps": 3}
    return Setting(labels=labels, classes=CLASSES, members=members, **{**fields, **changes})


def loss_for(name):
    """The loss that the defense is defined for."""
    return create("loss", "triplet", {}) if resolve("defense", name).needs == "triplets" else setting().loss


def defense(name, members=1, loss=None, **options):
    made = resolve("defense", name)(**options)
    made.begin(setting(members, loss=loss or loss_for(name)))
    return made


def replay(name, images, labels):
    """What a triplet defense does first, with another generator in the same place: its clean embeddings,
    its triplets, and the member after that."""
    one, made = member(), defense(name)
    clean = made.embed_clean(one, images)
    return one, clean, made.setting.loss.mine(clean, labels, one.generator)
