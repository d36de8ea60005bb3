"""The federation's data: who owns which images, what the server keeps, and the test set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gauntlet.core.registry import resolve
from gauntlet.core.seeds import numpy_generator
from gauntlet.data.partitions.base import Partition
from gauntlet.data.subset import Images, first, held_out_and_rest, on_device

if TYPE_CHECKING:
    from gauntlet.data.dataset import Dataset
    from gauntlet.families.federated.settings import Data


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
    kept, dealt = held_out_and_rest(dataset.train, data.held_out, data.per_class, seed)
    test = first(dataset.test, data.test_per_class, seed, "test")
    labels = dataset.train.labels[dealt]
    classes = len(dataset.class_names)
    divide = resolve("partition", data.partition)
    partition = divide(labels, data.clients, numpy_generator(seed, "partition"), **data.options)

    return World(
        train=on_device(dataset.train, dealt, dataset.peak, device),
        rows=[torch.from_numpy(rows) for rows in partition.rows],
        held_out=on_device(dataset.train, kept, dataset.peak, device),
        test=on_device(dataset.test, test, dataset.peak, device),
        partition=partition,
        histograms=partition.histograms(labels, classes),
    )
