"""The files of a split, one after the other in one file, which is memory-mapped."""

from __future__ import annotations

import mmap
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np


class Mapped:
    """The files of one split of a prepared set.

    Attributes:
        dataset, split: names, for messages.
        labels: int64 (n,), indices into the set's ``class_names``.
        offsets: int64 (n + 1,), where each file begins in the file of bytes.
        kind: what the file of bytes is called, ``<split>_<kind>.bin``.
    """

    kind: ClassVar[str]

    def __init__(self, folder: Path, dataset: str, split: str):
        self.dataset, self.split, self.folder = dataset, split, folder
        self.labels = np.load(folder / f"{split}_labels.npy", allow_pickle=False).astype(np.int64)
        self.offsets = np.load(folder / f"{split}_offsets.npy", allow_pickle=False)
        with open(self.path, "rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @property
    def path(self) -> Path:
        return self.folder / f"{self.split}_{self.kind}.bin"

    def __len__(self) -> int:
        return len(self.labels)

    def encoded(self, row: int) -> bytes:
        """The publisher's file."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return self._bytes[self.offsets[row] : self.offsets[row + 1]]

    @cached_property
    def names(self) -> list[str]:
        """The publisher's path of each file."""
        text = (self.folder / f"{self.split}_names.txt").read_bytes().decode()
        return text.split("\n")[:-1]
