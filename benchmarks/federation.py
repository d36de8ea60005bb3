"""One federation for all sides: Fashion-MNIST dealt to equal clients, a network, and its SGD steps."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.core.seeds import torch_generator
from gauntlet.data.dataset import Dataset, Split
from gauntlet.families.federated import world
from gauntlet.families.federated.settings import Data
from gauntlet.families.federated.world import Images, World
from gauntlet.models.classifiers import build

FOLDER = Path(__file__).resolve().parent.parent / "data" / "fashion-mnist"
ARCHITECTURE, CLASSES = "cnn2_bn", 10
LR, MOMENTUM = 0.001, 0.9


def dataset() -> Dataset:
    """Fashion-MNIST where it is prepared, else noisy patterns of its shape."""
    try:
        return data.load("fashion-mnist", FOLDER)
    except GauntletError:
        rng = np.random.default_rng(0)
        patterns = rng.integers(0, 128, (CLASSES, 1, 28, 28), dtype=np.uint8)
        splits = []
        for size in (60_000, 10_000):
            labels = np.arange(size) % CLASSES
            noise = rng.integers(0, 128, (size, 1, 28, 28), dtype=np.uint8)
            splits.append(Split(patterns[labels] + noise, labels))
        names = tuple(map(str, range(CLASSES)))
        return Dataset("noisy patterns", names, peak=255, train=splits[0], test=splits[1])


class Federation:
    """The same numbers in every process that makes it: images, their owners, the first weights.

    Args:
        settings: ``clients``, how many are ``selected`` per round, their ``batch``, and how many
            ``images`` they own in all.
    """

    def __init__(self, settings: dict):
        self.clients, self.selected, self.batch = (settings[k] for k in ("clients", "selected", "batch"))
        self.data = Data(
            clients=self.clients,
            per_class=settings["images"] // CLASSES,
            held_out=settings.get("held_out", 0),
            test_per_class=100,
        )
        self.dataset = dataset()

    @cached_property
    def world(self) -> World:
        return world.build(self.dataset, self.data, 0, torch.device("cpu"))

    def net(self) -> nn.Module:
        """With the weights that a simulation of seed 0 starts from."""
        torch.manual_seed(torch_generator(0, "init").initial_seed())
        return build(ARCHITECTURE, 1, 28, CLASSES)

    def batches(self, client: int) -> list[Tensor]:
        """One epoch of a client's rows, in random order."""
        rows = self.world.rows[client]
        return list(rows[torch.randperm(len(rows))].split(self.batch))


def optimizer(net: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(net.parameters(), lr=LR, momentum=MOMENTUM)


def steps(net: nn.Module, sgd: torch.optim.SGD, images: Images, batches: list[Tensor]) -> None:
    """The least that training can do, written out."""
    net.train()
    for rows in batches:
        sgd.zero_grad()
        F.cross_entropy(net(images.pixels[rows]), images.labels[rows]).backward()
        sgd.step()
