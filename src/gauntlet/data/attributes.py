"""Attributes that are planted in images, independently of their classes: what a task has no need of.

An attack that finds one of these in what a defense releases has found a leak, since the class says nothing
about it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gauntlet.core.errors import GauntletError, did_you_mean

#: (n, C, H, W) images, the pixel value of white, and a generator -> the same images with the attribute.
Change = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]

#: Side of the bright patch, as a share of the image's.
PATCH = 1 / 5
#: Height of the noise, as a share of white.
NOISE = 1 / 4


def plant(
    name: str, images: np.ndarray, labels: np.ndarray, generator: np.random.Generator, peak: int = 255
) -> tuple[np.ndarray, np.ndarray]:
    """Give half of the images of every class an attribute.

    Several attributes that are independent of each other as well: plant one, then the next with
    ``2 * labels + bits`` in place of the labels.

    Args:
        name: of ``ATTRIBUTES``.
        images: uint8 (n, C, H, W), values 0 to ``peak``; not changed.
        labels: (n,) integers.
        peak: the pixel value of white.

    Returns:
        The images, uint8 in the same range, and (n,) int64, 1 for those with the attribute; see ``balanced``.

    Raises:
        GauntletError: no such attribute, or images and labels that do not fit.
    """
    if name not in ATTRIBUTES:
        raise GauntletError(f"unknown attribute {name!r}", remedy=did_you_mean(name, ATTRIBUTES))
    images, labels = np.asarray(images), np.asarray(labels)
    if images.dtype != np.uint8 or images.ndim != 4 or labels.shape != (len(images),):
        raise GauntletError(
            f"expected uint8 images (n, C, H, W) and their labels, not {images.dtype} {images.shape} and "
            f"{labels.shape}"
        )
    bits = balanced(labels, generator)
    chosen = bits == 1
    planted = images.copy()
    planted[chosen] = ATTRIBUTES[name](images[chosen], peak, generator)
    return planted, bits


def balanced(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(n,) int64 of 0 and 1, both on half of every class, by chance.

    Of a class with an odd number of images one half is greater by one; it alternates from such class to class
    which, so that all ones are half of all images up to one. Exactly independent where all counts are even.
    """
    bits, spare = np.zeros(len(labels), dtype=np.int64), int(generator.integers(2))
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        bits[rows[: (len(rows) + spare) // 2]] = 1
        spare ^= len(rows) % 2
    return bits


def _rotated(images, peak, generator):
    return images[..., ::-1, ::-1]


def _mirrored(images, peak, generator):
    return images[..., ::-1]


def _inverted(images, peak, generator):
    return peak - images


def _thickened(images, peak, generator):
    """The brightest of the 3x3 pixels around each: for bright strokes on a dark ground."""
    from scipy.ndimage import grey_dilation  # late: plans read the names above, in every job

    return grey_dilation(images, size=(1, 1, 3, 3))


def _bright_patch(images, peak, generator):
    """A white square in the lower right corner."""
    side = max(1, round(PATCH * images.shape[-1]))
    found = images.copy()
    found[..., -side:, -side:] = peak
    return found


def _noisy(images, peak, generator):
    """Uniform noise of every image's own, cut off at black and white."""
    height = round(NOISE * peak)
    noise = generator.integers(-height, height + 1, images.shape, dtype=np.int16)
    return np.clip(images + noise, 0, peak).astype(np.uint8)


#: By name.
ATTRIBUTES: dict[str, Change] = {
    "rotated": _rotated,
    "mirrored": _mirrored,
    "inverted": _inverted,
    "thickened": _thickened,
    "bright_patch": _bright_patch,
    "noisy": _noisy,
}
