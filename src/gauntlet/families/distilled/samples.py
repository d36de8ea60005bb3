"""Samples that clients shared, as images in a table."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gauntlet.families.png import as_png

#: Clients whose first sample of every class is kept as an image.
SHOWN = 3


def shown(seed: int, images: Tensor, classes: Tensor, clients: Tensor) -> list[dict[str, Any]]:
    """Rows of the table ``samples``: the first sample of every class of the first clients, of r samples
    (r, C, H, W) with the (r,) class and client of each, in their order."""
    first: dict[tuple[int, int], Tensor] = {}
    for image, label, client in zip(images, classes.tolist(), clients.tolist(), strict=True):
        if client < SHOWN:
            first.setdefault((client, label), image)
    return [
        {"seed": seed, "index": index, "label": label, "png": as_png(image.cpu())}
        for index, ((_, label), image) in enumerate(first.items())
    ]
