"""Embedding networks: images in [0, 1] to unit vectors. One file per architecture."""

from __future__ import annotations

from gauntlet.core.registry import resolve

#: What the files of this folder register.
KIND = "model"


def build(architecture: str, channels: int, size: int, embedding: int):
    """A new network (randomly initialised from torch's global generator).

    Args:
        architecture: a file in this folder.
        channels: image channels.
        size: image height and width in pixels.
        embedding: dimension of the unit vectors.

    Raises:
        GauntletError: no such architecture.
    """
    return resolve("model", architecture)(channels, size, embedding)
