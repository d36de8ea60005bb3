"""Class-balanced draws from a dataset, and images on a device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.core.seeds import numpy_generator

if TYPE_CHECKING:
    from gauntlet.data.dataset import Split


@dataclass(frozen=True)
class Images:
    """Images on the device: ``pixels`` float32 (n, C, H, W) in [0, 1], ``labels`` int64 (n,)."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def on_device(split: Split, rows: np.ndarray, peak: int, device: torch.device) -> Images:
    """Some rows of a split; ``peak`` is the pixel value of white."""
    pixels = torch.from_numpy(np.ascontiguousarray(split.images[rows])).to(device)
    return Images(pixels.float().div_(peak), torch.from_numpy(split.labels[rows]).to(device))


def held_out_and_rest(
    split: Split, held_out: int, per_class: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of ``held_out`` images per class, and of ``per_class`` others (all of them when None), ascending.

    Drawn by the stream ``split`` of the seed; more images only add to the earlier ones.

    Raises:
        GauntletError: a class has no image beside the held out ones.
    """
    kept, dealt = [], []
    for label, rows in _shuffled(split, seed, "train"):
        if len(rows) <= held_out:
            raise GauntletError(
                f"class {label} has {len(rows)} training images; {held_out} would be held out",
                key="data.held_out",
                remedy="lower it",
            )
        kept.append(rows[:held_out])
        rest = rows[held_out:]
        dealt.append(rest if per_class is None else rest[:per_class])
    return np.sort(np.concatenate(kept)), np.sort(np.concatenate(dealt))


def first(split: Split, per_class: int | None, seed: int, part: str) -> np.ndarray:
    """Rows of ``per_class`` images of each class (all when None), ascending."""
    return np.sort(np.concatenate([rows[:per_class] for _, rows in _shuffled(split, seed, part)]))


def _shuffled(split: Split, seed: int, part: str) -> Iterator[tuple[int, np.ndarray]]:
    """(class, its rows in random order); the order depends on the seed and the class alone."""
    for label in np.unique(split.labels):
        rows = np.flatnonzero(split.labels == label)
        yield label, numpy_generator(seed, "split", part, int(label)).permutation(rows)
