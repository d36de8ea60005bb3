"""Classifiers: images in [0, 1] to logits. One file per architecture."""

from __future__ import annotations

from gauntlet.core.registry import resolve

#: What the files of this folder register.
KIND = "classifier"


def build(architecture: str, channels: int, size: int, classes: int):
    """A new network (randomly initialised from torch's global generator).

    Args:
        architecture: a file in this folder.
        channels: image channels.
        size: image height and width in pixels.
        classes: how many logits.

    Raises:
        GauntletError: no such architecture.
    """
    return resolve("classifier", architecture)(channels, size, classes)
