"""From an encoded photo to a square tensor: the crops of deep metric learning. Each is a ``photos.Crop``.

Pillow decodes and torch resizes. Torch's bilinear filter for bytes is Pillow's (at most one grey level
apart) at a third of the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.data.photos import open_image

if TYPE_CHECKING:
    from PIL.Image import Image

#: Boxes that are drawn before giving up on one that fits.
TRIES = 10


@dataclass(frozen=True)
class RandomCrop:
    """A box of random area and shape, resized to a square, and mirrored at random: torchvision's
    ``RandomResizedCrop`` and ``RandomHorizontalFlip``.

    Attributes:
        scale: least and greatest share of the photo's area. (0.08, 1) in Proxy-Anchor, (0.6, 1) in RDML.
        ratio: least and greatest width over height; drawn uniformly in its logarithm.
        flip: probability of mirroring left to right.
        draft: decode a JPEG at 1/2, 1/4 or 1/8 where the box stays no smaller than ``size``. Saves up to a
            third of the time on photos of more than twice the size, and shifts the box by less than a pixel.
    """

    size: int = 224
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    draft: bool = True

    draws: ClassVar[int] = 2 * TRIES + 3

    def __call__(self, encoded: bytes, uniforms: np.ndarray) -> Tensor:
        image = open_image(encoded)
        left, top, width, height = self.box(*image.size, uniforms)
        fraction = shrink(image, width, height, self.size) if self.draft else 1
        pixels = as_bytes(image)
        bottom, right = (top + height) / fraction, (left + width) / fraction
        part = pixels[round(top / fraction) : round(bottom), round(left / fraction) : round(right)]
        square = resize(part, self.size, self.size)
        return mirror(square) if uniforms[-1] < self.flip else square

    def box(self, width: int, height: int, uniforms: np.ndarray) -> tuple[int, int, int, int]:
        """(left, top, width, height) of the box in a photo of this size."""
        draws = uniforms.tolist()
        low, high = map(math.log, self.ratio)
        for area, shape in zip(draws[:TRIES], draws[TRIES : 2 * TRIES], strict=True):
            area = width * height * (self.scale[0] + (self.scale[1] - self.scale[0]) * area)
            ratio = math.exp(low + (high - low) * shape)
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                x, y = draws[2 * TRIES : 2 * TRIES + 2]
                return int(x * (width - w + 1)), int(y * (height - h + 1)), w, h
        # none fits a photo as long as this: the central box of the nearest shape
        w = min(width, round(height * self.ratio[1]))
        h = min(height, round(width / self.ratio[0]))
        return (width - w) // 2, (height - h) // 2, w, h


@dataclass(frozen=True)
class CentreCrop:
    """The centre of the photo after its short side was resized to ``side``: for testing."""

    size: int = 224
    side: int = 256

    draws: ClassVar[int] = 0

    def __call__(self, encoded: bytes, uniforms: np.ndarray | None = None) -> Tensor:
        pixels = as_bytes(open_image(encoded))
        height, width = pixels.shape[:2]
        short = min(height, width)
        height, width = (int(self.side * length / short) for length in (height, width))
        resized = resize(pixels, height, width)
        top, left = (round((length - self.size) / 2) for length in (height, width))
        return resized[:, top : top + self.size, left : left + self.size]


def mirror(image: Tensor) -> Tensor:
    """(C, H, W), left to right. NumPy copies: torch would use its threads, beside those that call this."""
    return torch.from_numpy(image.numpy()[..., ::-1].copy())


def shrink(image: Image, width: int, height: int, size: int) -> int:
    """Let a JPEG decode at 1/f of its size, if a box of this width and height keeps ``size`` pixels; f."""
    for fraction in (8, 4, 2):
        if min(width, height) >= fraction * size:
            wanted = (image.width // fraction, image.height // fraction)
            return fraction if image.draft(None, wanted) else 1
    return 1


def as_bytes(image: Image) -> np.ndarray:
    """uint8 (H, W, 3), read-only."""
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def resize(pixels: np.ndarray, height: int, width: int) -> Tensor:
    """uint8 (h, w, 3) -> uint8 (3, height, width), bilinear with a wider filter where it shrinks."""
    if pixels.shape[:2] == (height, width):  # torch would copy with its threads
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    return F.interpolate(tensor, (height, width), mode="bilinear", antialias=True)[0]
