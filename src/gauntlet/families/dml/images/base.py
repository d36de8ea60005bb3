"""What training and attacks ask of images, whatever their form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cut:
    """How photos become squares; arrays are left as they are.

    Attributes:
        size: side of a square, in pixels.
        scale: least and greatest share of a photo's area that a random box has.
    """

    size: int
    scale: tuple[float, float]


class Images:
    """Some images of one split. A file of this folder registers how it is made:
    ``(split of a prepared dataset, rows (n,), peak, Cut) -> Images``.

    Attributes:
        channels, size: of every image, as a network sees it.
        home: where perturbed images wait if the device cannot hold them all; None if it can.
    """

    channels: int
    size: int
    home: str | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    def take(self, rows: Tensor) -> Images:
        """The images ``rows`` (b,) of these."""
        raise NotImplementedError

    def view(self, rows: Tensor | None = None, device: torch.device | str = "cpu") -> Tensor:
        """(b, C, H, W) in [0, 1], a new tensor, always the same: what is tested. All if ``rows`` is None."""
        raise NotImplementedError

    def mean(self, device: torch.device | str = "cpu") -> Tensor:
        """(C, H, W), the mean of all views."""
        raise NotImplementedError

    def epoch(
        self, groups: Sequence[Tensor], device: torch.device | str, *, seed: int, epoch: int
    ) -> Iterator[Tensor]:
        """(b, C, H, W) in [0, 1] for every group of rows, as an epoch of the training sees them."""
        raise NotImplementedError
