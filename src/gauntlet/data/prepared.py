"""The prepared form: two ``.npy`` files per split and ``dataset.json``, the same bytes whatever the source.

Images are uint8 (n, C, H, W) in C order, so that a job maps them instead of reading them; labels
are the smallest unsigned type that holds them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256_file
from gauntlet.data.registry import PREPARED, Classed, Common, Entry


def check(arrays: Mapping[str, np.ndarray], entry: Entry) -> None:
    """Compare what a reader returned with the registry: shapes, value range, images per class.

    Raises:
        GauntletError: the first difference.
    """

    for split in entry.splits:
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        shape = (entry.examples(split), *entry.shape)
        if images.dtype != np.uint8 or images.shape != shape:
            raise refused(entry, f"{split} images are {images.dtype} {images.shape}, not uint8 {shape}")
        if images.max() > entry.peak:
            raise refused(entry, f"a {split} pixel is {images.max()}, above the peak {entry.peak}")
        check_labels(labels, entry, split, "image")
        conditions = entry.conditions or [""]
        for condition, part in zip(conditions, np.split(labels, len(conditions)), strict=True):
            if not np.array_equal(part, labels[: len(part)]):
                problem = (
                    f"{split} labels under the condition {condition} are not those under {conditions[0]}"
                )
                raise refused(entry, problem)


def check_labels(labels: np.ndarray, entry: Classed, split: str, what: str) -> None:
    """Compare the labels of a split with the registry: one integer per ``what``, and how many of each class.

    Raises:
        GauntletError: the first difference.
    """
    expected = entry.per_class(split)
    if labels.shape != (sum(expected),) or labels.dtype.kind not in "iu":
        raise refused(entry, f"{split} labels are {labels.dtype} {labels.shape}, not one integer per {what}")
    if labels.min() < 0 or labels.max() >= len(expected):
        raise refused(entry, f"{split} labels are outside 0 to {len(expected) - 1}")
    if (found := np.bincount(labels, minlength=len(expected)).tolist()) != expected:
        raise refused(entry, f"{split} {what}s per class are {found}, not {expected}")


def refused(entry: Common, problem: str) -> GauntletError:
    """The error for what a reader returned, where it is not what the registry says."""
    return GauntletError(
        f"{entry.name}: {problem}", remedy=f"correct the reader {entry.reader!r}, or the registry"
    )


def write(arrays: Mapping[str, np.ndarray], entry: Entry, folder: Path) -> None:
    """Write the prepared form into the new folder ``folder``. Raises GauntletError as ``check``."""
    check(arrays, entry)
    facts = {
        "name": entry.name,
        "classes": entry.classes,
        "shape": entry.shape,
        "peak": entry.peak,
        **{split: entry.per_class(split) for split in entry.splits},
        **({"conditions": entry.conditions} if entry.conditions else {}),
    }
    write_splits(arrays, "images", entry, facts, folder)


def write_splits(
    arrays: Mapping[str, np.ndarray], values: str, entry: Classed, facts: Mapping[str, Any], folder: Path
) -> None:
    """Make ``folder``: the ``values`` (images, features) and labels of each split, and ``dataset.json``."""
    folder.mkdir()
    label = np.min_scalar_type(len(entry.classes) - 1)
    for split in entry.splits:
        found = np.ascontiguousarray(arrays[f"{split}_{values}"])
        np.save(folder / f"{split}_{values}.npy", found, allow_pickle=False)
        np.save(folder / f"{split}_labels.npy", arrays[f"{split}_labels"].astype(label), allow_pickle=False)
    (folder / "dataset.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def hashes(folder: Path, files: Iterable[str] = PREPARED) -> dict[str, str]:
    """SHA-256 of each prepared file."""
    return {file: sha256_file(folder / file) for file in files}


def verify(folder: Path, expected: Mapping[str, str]) -> tuple[str, str] | None:
    """The first prepared file that is missing or altered, with the problem; None when all is well."""
    for file in expected:
        path = folder / file
        if not path.is_file():
            return file, "this file of the prepared dataset is missing"
        if sha256_file(path) != expected[file]:
            return file, "this file is damaged: its SHA-256 is not the registry's"
    return None
