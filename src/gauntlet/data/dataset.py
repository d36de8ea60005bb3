"""A prepared dataset in memory, verified before use: memory-mapped images and labels, or another form."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.core.files import read_json
from gauntlet.data import bundle, crowd, photos, registry, tables
from gauntlet.data.prepared import verify

#: What opens a set of a form that is not arrays: ``open_set(name, folder)``.
OPEN = {
    "files": bundle.open_set,
    "labels": crowd.open_set,
    "photos": photos.open_set,
    "table": tables.open_set,
}

AnySet = photos.PhotoSet | tables.TableSet | bundle.FileSet | crowd.CrowdSet


SPLITS = ("train", "test", "validation")


@dataclass(frozen=True)
class Split:
    """One part of the official split.

    Attributes:
        images: uint8 (n, C, H, W), memory-mapped and read-only, values 0 to the dataset's ``peak``.
        labels: int64 (n,), indices into the dataset's ``class_names``.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset.

    Attributes:
        name: its name in the registry.
        class_names: one per label.
        peak: the pixel value of white; ``images / peak`` is in [0, 1].
        train, test, validation: the official split; None for a part that the set does not have.
        conditions: a split has the same images under each of these, one condition after the other; see
            ``under``. Empty for most sets.
        form: see ``registry.FORMS``.
    """

    name: str
    class_names: tuple[str, ...]
    peak: int
    train: Split | None
    test: Split | None
    validation: Split | None = None
    conditions: tuple[str, ...] = ()
    form: ClassVar[str] = "arrays"

    def under(self, condition: str) -> Split:
        """The images for testing under one of ``conditions``. Raises GauntletError for an unknown one."""
        if condition not in self.conditions:
            raise GauntletError(
                f"{self.name} has no condition {condition!r}", remedy=did_you_mean(condition, self.conditions)
            )
        count = len(self.test) // len(self.conditions)
        first = self.conditions.index(condition) * count
        rows = slice(first, first + count)
        return Split(self.test.images[rows], self.test.labels[rows])


def load(
    name: str, folder: Path | None = None, splits: Collection[str] = ("train", "test")
) -> Dataset | AnySet:
    """Read a prepared set, after comparing the hashes of its files with the registry's.

    A set of ``form: photos`` is a ``PhotoSet``, of ``table`` a ``TableSet``, of ``labels`` a ``CrowdSet``, of
    ``files`` a ``FileSet``.

    Args:
        name: its name in the registry.
        folder: the prepared set's own folder; the registry's (``data/<name>``) when absent.
        splits: those that the caller needs; of no meaning for a set that has none.

    Raises:
        GauntletError: unknown name; the set does not have these splits; it is not prepared; a file is missing
            or altered.
    """
    entry = registry.entry(name)
    if missing := [split for split in splits if split not in entry.splits and entry.splits]:
        raise GauntletError(
            f"{name!r} has no images for {missing[0]}; it has {', '.join(entry.splits)}",
            remedy="choose another dataset",
        )
    folder = Path(folder) if folder is not None else Path(entry.folder)
    remedy = f"gauntlet data fetch {name}"
    if not folder.is_dir():
        raise GauntletError(f"dataset {name!r} is not prepared", file=folder, remedy=remedy)
    if entry.prepared is None:
        raise GauntletError(
            f"{name!r} has no hashes of its prepared files",
            file=registry.REGISTRY,
            key=f"{name}.prepared",
            remedy=f"paste what `{remedy}` prints",
        )
    if fault := verify(folder, entry.prepared):
        file, problem = fault
        raise GauntletError(problem, file=folder / file, remedy=f"{remedy} (replaces the damaged copy)")
    if entry.form in OPEN:
        return OPEN[entry.form](name, folder)
    facts = read_json(folder / "dataset.json")
    return Dataset(
        name=name,
        class_names=tuple(facts["classes"]),
        peak=facts["peak"],
        conditions=tuple(facts.get("conditions", ())),
        **{split: _split(folder, split) if split in entry.splits else None for split in SPLITS},
    )


def _split(folder: Path, split: str) -> Split:
    images = np.load(folder / f"{split}_images.npy", mmap_mode="r", allow_pickle=False)
    labels = np.load(folder / f"{split}_labels.npy", allow_pickle=False)
    return Split(images, labels.astype(np.int64))
