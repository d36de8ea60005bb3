"""The federation's data: who owns which images, what the server keeps, and the test set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gauntlet.core.registry import resolve
from gauntlet.core.seeds import numpy_generator, seeded
from gauntlet.data.dataset import Split
from gauntlet.data.partitions.base import Partition
from gauntlet.data.small import view
from gauntlet.data.subset import Images, first, held_out_and_rest, on_device
from gauntlet.models.classifiers import build as build_classifier

if TYPE_CHECKING:
    from gauntlet.data.dataset import Dataset
    from gauntlet.data.photos import PhotoSet
    from gauntlet.families.federated.settings import Data


class Attribute(NamedTuple):
    """Which images have an attribute, planted or not: int64 0 or 1, in the order of the world's images."""

    train: np.ndarray
    held_out: np.ndarray
    test: np.ndarray


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
        attributes: those of the dataset's that are private, and what was planted, by name, in this order.
    """

    train: Images
    rows: list[Tensor]
    held_out: Images
    test: Images
    partition: Partition
    histograms: np.ndarray
    attributes: dict[str, Attribute] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        return self.histograms.shape[1]

    def network(self, architecture: str, seed: int, *stream: str | int) -> nn.Module:
        """A classifier of these images and classes, its weights drawn from a stream of the seed."""
        channels, size = self.train.pixels.shape[1:3]
        with seeded(seed, *stream):
            net = build_classifier(architecture, channels, size, self.classes)
        return net.to(self.train.pixels.device)

    def clients(self, seed: int) -> list[dict[str, Any]]:
        """Rows of the table ``clients``."""
        return [
            {"seed": seed, "client": client, "label": label, "samples": int(samples),
             "maverick": client in self.partition.mavericks}
            for client, histogram in enumerate(self.histograms)
            for label, samples in enumerate(histogram)
        ]  # fmt: skip


def build(dataset: Dataset | PhotoSet, data: Data, seed: int, device: torch.device) -> World:
    """Draw the images by the stream ``split`` of the seed, and their owners by the stream ``partition``;
    plant each attribute by a stream ``plant`` of its name and part. Photos are cut to one size, and an
    attribute of theirs may be the class (``data.small``).

    Raises:
        GauntletError: too few images of a class, a partition that does not fit, or an attribute that is not
            there.
    """
    dataset = view(dataset, data.photo_size, data.task, data.private)
    kept, dealt = held_out_and_rest(dataset.train, data.held_out, data.per_class, seed)
    test = first(dataset.test, data.test_per_class, seed, "test")
    labels = dataset.train.labels[dealt]
    classes = len(dataset.class_names)
    divide = resolve("partition", data.partition)
    partition = divide(labels, data.clients, numpy_generator(seed, "partition"), **data.options)
    drawn = {
        "train": (dataset.train, dealt),
        "held_out": (dataset.train, kept),
        "test": (dataset.test, test),
    }
    images, bits = {}, {}
    for part, (split, chosen) in drawn.items():
        images[part], bits[part] = _planted(data.plant, split, chosen, dataset.peak, seed, part, device)
        bits[part] |= {name: split.attributes[name][chosen] for name in data.private}
    return World(
        **images,
        rows=[torch.from_numpy(rows) for rows in partition.rows],
        partition=partition,
        histograms=partition.histograms(labels, classes),
        attributes={
            name: Attribute(**{part: bits[part][name] for part in drawn})
            for name in [*data.private, *data.plant]
        },
    )


def _planted(
    names: list[str], split: Split, rows: np.ndarray, peak: int, seed: int, part: str, device: torch.device
) -> tuple[Images, dict[str, np.ndarray]]:
    """Some rows of a split with attributes, and who has which: each independent of the class and of those
    before it."""
    if not names:
        return on_device(split, rows, peak, device), {}
    from gauntlet.data.attributes import plant

    images, labels = split.images[rows], split.labels[rows]
    groups, bits = labels, {}
    for name in names:
        generator = numpy_generator(seed, "plant", name, part)
        images, bits[name] = plant(name, images, groups, generator, peak)
        groups = 2 * groups + bits[name]
    return on_device(Split(images, labels), np.arange(len(rows)), peak, device), bits
