"""Generators: noise vectors to images. One file per architecture."""

from __future__ import annotations

from gauntlet.core.registry import resolve

#: What the files of this folder register.
KIND = "generator"


def build(architecture: str, channels: int, size: int, latent: int, activation: str):
    """A new generator (randomly initialised from torch's global generator).

    Args:
        architecture: a file in this folder.
        channels, size: of its images.
        latent: length of a noise vector.
        activation: of the output; see ``base.ACTIVATIONS``.

    Raises:
        GauntletError: no such architecture, or one that does not make images of this size.
    """
    return resolve("generator", architecture)(channels, size, latent, activation)
