"""A side of ``data_batches``: ours, or torchvision's dataset in a ``DataLoader``."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import FashionMNIST

from benchmarks.sides import serve
from gauntlet import data
from gauntlet.data.subset import on_device


class Ours:
    def __init__(self, settings: dict):
        self.settings, self.images = settings, None

    def open(self) -> None:
        found = data.load("fashion-mnist")
        rows = np.arange(self.settings["images"])
        self.images = on_device(found.train, rows, found.peak, torch.device("cpu"))

    def epoch(self) -> Iterator[Tensor]:
        for index in torch.randperm(len(self.images)).split(self.settings["batch"]):
            yield self.images.pixels[index]


class Torchvision:
    def __init__(self, settings: dict):
        self.settings, self.loader = settings, None

    def open(self) -> None:
        images = FashionMNIST(self.settings["root"], transform=transforms.ToTensor())
        workers = self.settings["workers"]
        chosen = Subset(images, range(self.settings["images"]))
        self.loader = DataLoader(
            chosen, self.settings["batch"], shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )

    def epoch(self) -> Iterator[Tensor]:
        for images, _ in self.loader:
            yield images


def run(side: Ours | Torchvision, first: bool) -> dict:
    """An epoch, and the mean pixel of it, so that both sides touch every one."""
    if first:
        side.open()
    total = sum(float(batch.sum(dtype=torch.float64)) for batch in side.epoch())
    return {"mean": total / side.settings["images"] / 784}


def main() -> None:
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(settings["threads"])
    side = Ours(settings) if settings["workers"] is None else Torchvision(settings)
    serve({"first": functools.partial(run, side, True), "later": functools.partial(run, side, False)})


if __name__ == "__main__":
    main()
