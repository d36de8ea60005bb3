"""Small images in figures: PNG in base 64, as tables keep them."""

from __future__ import annotations

import base64
import io

import numpy as np


def show(axis, png: str, title: str = "") -> None:
    """Draw one image on an axis without ticks; grey images in grey, and a line above."""
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))
    axis.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axis.set_title(title, fontsize=6, pad=1.5)


def line_label(axis, text: str) -> None:
    """What a line of images shows, to the left of its first."""
    axis.text(-0.15, 0.5, text, transform=axis.transAxes, ha="right", va="center", fontsize=6)
