"""The prepared form: two ``.npy`` files per split and ``dataset.json``, the same bytes whatever the source.

Images are uint8 (n, C, H, W) in C order, so that a job maps them instead of reading them; labels
are the smallest unsigned type that holds them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256_file
from gauntlet.data.registry import PREPARED, Entry


def check(arrays: Mapping[str, np.ndarray], entry: Entry) -> None:
    """Compare what a reader returned with the registry: shapes, value range, images per class.

    Raises:
        GauntletError: the first difference.
    """

    def refuse(problem: str) -> None:
        raise GauntletError(
            f"{entry.name}: {problem}", remedy=f"correct the reader {entry.reader!r}, or the registry"
        )

    for split in entry.splits:
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        expected = entry.per_class(split)
        if images.dtype != np.uint8 or images.shape != (sum(expected), *entry.shape):
            refuse(
                f"{split} images are {images.dtype} {images.shape}, not uint8 {(sum(expected), *entry.shape)}"
            )
        if images.max() > entry.peak:
            refuse(f"a {split} pixel is {images.max()}, above the peak {entry.peak}")
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            refuse(f"{split} labels are {labels.dtype} {labels.shape}, not one integer per image")
        if labels.min() < 0 or labels.max() >= len(expected):
            refuse(f"{split} labels are outside 0 to {len(expected) - 1}")
        if (found := np.bincount(labels, minlength=len(expected)).tolist()) != expected:
            refuse(f"{split} images per class are {found}, not {expected}")
        conditions = entry.conditions or [""]
        for condition, part in zip(conditions, np.split(labels, len(conditions)), strict=True):
            if not np.array_equal(part, labels[: len(part)]):
                refuse(f"{split} labels under the condition {condition} are not those under {conditions[0]}")


def write(arrays: Mapping[str, np.ndarray], entry: Entry, folder: Path) -> None:
    """Write the prepared form into the new folder ``folder``. Raises GauntletError as ``check``."""
    check(arrays, entry)
    folder.mkdir()
    label = np.min_scalar_type(len(entry.classes) - 1)
    for split in entry.splits:
        images = np.ascontiguousarray(arrays[f"{split}_images"])
        np.save(folder / f"{split}_images.npy", images, allow_pickle=False)
        np.save(folder / f"{split}_labels.npy", arrays[f"{split}_labels"].astype(label), allow_pickle=False)
    facts = {
        "name": entry.name,
        "classes": entry.classes,
        "shape": entry.shape,
        "peak": entry.peak,
        **{split: entry.per_class(split) for split in entry.splits},
        **({"conditions": entry.conditions} if entry.conditions else {}),
    }
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
