"""The zero-shot split: which classes a network is trained on, and which images of each are used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.seeds import numpy_generator

if TYPE_CHECKING:
    import torch

    from gauntlet.data.dataset import Dataset, Split
    from gauntlet.families.dml.settings import Data


@dataclass(frozen=True)
class ClassSplit:
    """Training and test images of disjoint classes.

    Attributes:
        train_images: uint8 (n, C, H, W), values 0 to ``peak``; see ``pixels``.
        train_labels: int64 (n,) in 0..K-1, positions in ``train_classes``.
        test_images: uint8 (m, C, H, W).
        test_labels: int64 (m,), the dataset's own labels.
        test_index: int64 (m,), rows of the images in the dataset's test split.
        train_classes, test_classes: the dataset's labels, ascending.
        peak: the pixel value of white.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    test_index: np.ndarray
    train_classes: np.ndarray
    test_classes: np.ndarray
    peak: int

    def pixels(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 images (a tensor on any device) -> float32 in [0, 1], on the same device."""
        return images.float().div_(self.peak)


def class_split(dataset: Dataset, data: Data, seed: int, test_per_class: int | None = None) -> ClassSplit:
    """Split the classes at random, by the stream ``split`` of the seed, and subsample each class.

    Training images come from the dataset's train split, test images from its test split. A dataset whose
    two splits have no class in common is zero-shot already and keeps them.

    Raises:
        GauntletError: more training classes than the dataset allows.
    """
    train_all, test_all = np.unique(dataset.train.labels), np.unique(dataset.test.labels)
    shared = np.intersect1d(train_all, test_all)
    if len(shared):
        order = numpy_generator(seed, "split", "classes").permutation(np.union1d(train_all, test_all))
        if data.train_classes > len(order) - 2:
            raise GauntletError(
                f"{data.train_classes} training classes leave fewer than 2 of the {len(order)} classes "
                f"of {dataset.name!r} for testing",
                key="data.train_classes",
                remedy=f"choose at most {len(order) - 2}",
            )
        train_classes, test_classes = order[: data.train_classes], order[data.train_classes :]
    else:
        if data.train_classes != len(train_all):
            raise GauntletError(
                f"{dataset.name!r} comes with a split of its own, with {len(train_all)} training classes",
                key="data.train_classes",
                remedy=f"set it to {len(train_all)}",
            )
        train_classes, test_classes = train_all, test_all
    train_classes, test_classes = np.sort(train_classes), np.sort(test_classes)
    train_rows = _rows(dataset.train, train_classes, data.train_per_class, seed, "train")
    test_rows = _rows(dataset.test, test_classes, test_per_class, seed, "test")
    return ClassSplit(
        train_images=dataset.train.images[train_rows],
        train_labels=np.searchsorted(train_classes, dataset.train.labels[train_rows]),
        test_images=dataset.test.images[test_rows],
        test_labels=np.asarray(dataset.test.labels[test_rows]),
        test_index=test_rows,
        train_classes=train_classes,
        test_classes=test_classes,
        peak=dataset.peak,
    )


def _rows(split: Split, classes: np.ndarray, per_class: int | None, seed: int, part: str) -> np.ndarray:
    """Ascending rows of the classes' images, at most ``per_class`` of each, at random.

    The images of a class depend on the seed and the class alone, so that more classes or more images
    per class only add to them.
    """
    labels = np.asarray(split.labels)
    chosen = []
    for label in classes:
        rows = np.flatnonzero(labels == label)
        if per_class is not None:
            rows = numpy_generator(seed, "split", part, int(label)).permutation(rows)[:per_class]
        chosen.append(rows)
    return np.sort(np.concatenate(chosen))
