"""The zero-shot split: which classes a network is trained on, and which images of each are used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import resolve
from gauntlet.core.seeds import numpy_generator
from gauntlet.families.dml.images.base import Cut, Images

if TYPE_CHECKING:
    from gauntlet.data.dataset import Dataset, Split
    from gauntlet.data.photos import Photos, PhotoSet
    from gauntlet.families.dml.settings import Data


@dataclass(frozen=True)
class ClassSplit:
    """Training and test images of disjoint classes.

    Attributes:
        train: n images.
        train_labels: int64 (n,) in 0..K-1, positions in ``train_classes``.
        test: m images.
        test_labels: int64 (m,), the dataset's own labels.
        test_index: int64 (m,), rows of the images in the dataset's test split.
        train_classes, test_classes: the dataset's labels, ascending.
        gallery, gallery_labels: what test images are searched in; None where that is the test images.
    """

    train: Images
    train_labels: np.ndarray
    test: Images
    test_labels: np.ndarray
    test_index: np.ndarray
    train_classes: np.ndarray
    test_classes: np.ndarray
    gallery: Images | None = None
    gallery_labels: np.ndarray | None = None


def class_split(
    dataset: Dataset | PhotoSet,
    data: Data,
    seed: int,
    test_per_class: int | None = None,
    scale: tuple[float, float] = (0.08, 1.0),
) -> ClassSplit:
    """Split the classes at random, by the stream ``split`` of the seed, and subsample each class.

    Training images come from the dataset's train split, test images from its test split. A dataset whose
    two splits have no class in common is zero-shot already and keeps them; a gallery is kept whole.

    Args:
        scale: of the random boxes that photos are cut to in training.

    Raises:
        GauntletError: more training classes than the dataset allows; splits that have some classes in common
            and others not, or a gallery with a class to train on.
    """
    gallery = getattr(dataset, "gallery", None)
    train_classes, test_classes = _classes(dataset, gallery, data.train_classes, seed)
    train_rows = _rows(dataset.train, train_classes, data.train_per_class, seed, "train")
    test_rows = _rows(dataset.test, test_classes, test_per_class, seed, "test")
    make, cut = resolve("form", dataset.form), Cut(data.photo_size, scale)

    def images(part: Split | Photos, rows: np.ndarray) -> Images:
        return make(part, rows, dataset.peak, cut)

    return ClassSplit(
        train=images(dataset.train, train_rows),
        train_labels=np.searchsorted(train_classes, dataset.train.labels[train_rows]),
        test=images(dataset.test, test_rows),
        test_labels=np.asarray(dataset.test.labels[test_rows]),
        test_index=test_rows,
        train_classes=train_classes,
        test_classes=test_classes,
        gallery=None if gallery is None else images(gallery, np.arange(len(gallery))),
        gallery_labels=None if gallery is None else np.asarray(gallery.labels),
    )


def refuse_lone_queries(split: ClassSplit, class_names: tuple[str, ...]) -> None:
    """Raise GauntletError if a class has one test image (or none in the gallery): no search can find it, and
    neither recall nor MAP at R of such a query means anything."""
    if split.gallery_labels is None:
        classes, counts = np.unique(split.test_labels, return_counts=True)
        if len(lone := classes[counts < 2]):
            raise GauntletError(
                f"class {class_names[lone[0]]!r} has one test image only, which has nothing to find",
                key="evaluate.test_per_class",
                remedy="use two test images of every class, or more",
            )
    elif len(lone := np.setdiff1d(split.test_labels, split.gallery_labels)):
        raise GauntletError(
            f"class {class_names[lone[0]]!r} has queries, and no image in the gallery",
            remedy="correct the dataset's reader",
        )


def _classes(
    dataset: Dataset | PhotoSet, gallery: Photos | None, wanted: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ascending classes to train and to test on; ``wanted`` of them to train."""
    name = dataset.name
    train_all, test_all = np.unique(dataset.train.labels), np.unique(dataset.test.labels)
    if gallery is not None:
        test_all = np.union1d(test_all, gallery.labels)
    shared = np.intersect1d(train_all, test_all)
    if not len(shared):
        if wanted not in (None, len(train_all)):
            raise GauntletError(
                f"{name!r} comes with a split of its own, with {len(train_all)} training classes",
                key="data.train_classes",
                remedy=f"leave it out, or set it to {len(train_all)}",
            )
        return train_all, np.unique(dataset.test.labels)
    everything = np.union1d(train_all, test_all)
    if gallery is not None or len(shared) < len(everything):
        raise GauntletError(
            f"class {dataset.class_names[shared[0]]!r} of {name!r} is in both splits ({len(shared)} of "
            f"{len(everything)} classes are), so that what is tested would have been trained on",
            remedy="correct the dataset's reader: splits have no class in common, or all and no gallery",
        )
    order = numpy_generator(seed, "split", "classes").permutation(everything)
    if wanted is None or wanted > len(order) - 2:
        many = "all" if wanted is None else wanted
        raise GauntletError(
            f"{many} training classes leave fewer than 2 of the {len(order)} classes of {name!r} for testing",
            key="data.train_classes",
            remedy=f"choose at most {len(order) - 2}",
        )
    return np.sort(order[:wanted]), np.sort(order[wanted:])


def _rows(
    split: Split | Photos, classes: np.ndarray, per_class: int | None, seed: int, part: str
) -> np.ndarray:
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
