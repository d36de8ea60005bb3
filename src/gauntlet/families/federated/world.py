"""The federation's data: who owns which images, what the server keeps, and the test set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import resolve
from gauntlet.core.seeds import numpy_generator
from gauntlet.data.partitions.base import Partition

if TYPE_CHECKING:
    from gauntlet.data.dataset import Dataset, Split
    from gauntlet.families.federated.settings import Data


@dataclass(frozen=True)
class Images:
    """Images on the device: ``pixels`` float32 (n, C, H, W) in [0, 1], ``labels`` int64 (n,)."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class World:
    """One seed's federation.

    Attributes:
        train: all clients' images, as one tensor; a client is an index list into it.
        rows: per client, int64 tensor of its rows in ``train``, on the CPU.
        held_out: the server's own images.
        test: the test images.
        partition: who owns what.
        histograms: (clients, classes) images per client and class.
    """

    train: Images
    rows: list[Tensor]
    held_out: Images
    test: Images
    partition: Partition
    histograms: np.ndarray


def build(dataset: Dataset, data: Data, seed: int, device: torch.device) -> World:
    """Draw the images by the stream ``split`` of the seed, and their owners by the stream ``partition``.

    Raises:
        GauntletError: too few images of a class, or a partition that does not fit.
    """
    kept, dealt = _server_and_clients(dataset.train, data, seed)
    test = _first(dataset.test, data.test_per_class, seed, "test")
    labels = dataset.train.labels[dealt]
    classes = len(dataset.class_names)
    divide = resolve("partition", data.partition)
    partition = divide(labels, data.clients, numpy_generator(seed, "partition"), **data.options)

    def images(split: Split, rows: np.ndarray) -> Images:
        pixels = torch.from_numpy(np.ascontiguousarray(split.images[rows])).to(device)
        return Images(pixels.float().div_(dataset.peak), torch.from_numpy(split.labels[rows]).to(device))

    return World(
        train=images(dataset.train, dealt),
        rows=[torch.from_numpy(rows) for rows in partition.rows],
        held_out=images(dataset.train, kept),
        test=images(dataset.test, test),
        partition=partition,
        histograms=partition.histograms(labels, classes),
    )


def _server_and_clients(split: Split, data: Data, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the server's images and of the clients', ascending. More images only add to them."""
    kept, dealt = [], []
    for label, rows in _shuffled(split, seed, "train"):
        if len(rows) <= data.held_out:
            raise GauntletError(
                f"class {label} has {len(rows)} training images; the server would keep {data.held_out}",
                key="data.held_out",
                remedy="lower it",
            )
        kept.append(rows[: data.held_out])
        rest = rows[data.held_out :]
        dealt.append(rest if data.per_class is None else rest[: data.per_class])
    return np.sort(np.concatenate(kept)), np.sort(np.concatenate(dealt))


def _first(split: Split, per_class: int | None, seed: int, part: str) -> np.ndarray:
    return np.sort(np.concatenate([rows[:per_class] for _, rows in _shuffled(split, seed, part)]))


def _shuffled(split: Split, seed: int, part: str):
    """(class, its rows in random order); the order depends on the seed and the class alone."""
    for label in np.unique(split.labels):
        rows = np.flatnonzero(split.labels == label)
        yield label, numpy_generator(seed, "split", part, int(label)).permutation(rows)
