"""Embedding networks: images in [0, 1] to unit vectors. One file per architecture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import resolve

#: What the files of this folder register.
KIND = "model"


def build(
    architecture: str,
    channels: int,
    size: int,
    embedding: int,
    pretrained: bool = False,
    normalise: bool = True,
):
    """A new network (randomly initialised from torch's global generator).

    Its parts are ``features``, the backbone, and ``head``, a ``gauntlet.models.head.EmbeddingHead``.

    Args:
        architecture: a file in this folder.
        channels: image channels.
        size: image height and width in pixels.
        embedding: dimension of the unit vectors.
        pretrained: the backbone starts with ImageNet weights (``gauntlet.models.weights``); the head draws
            the same random numbers as without. For RGB images of more than 32 pixels.
        normalise: pretrained weights see images as they did on ImageNet: the network normalises its images
            itself. False shows them [0, 1] as it is. Without ``pretrained``, networks see [0, 1] anyway.

    Raises:
        GauntletError: no such architecture; no ImageNet weights for it, or not for these images; their file
            is absent, damaged or of another network.
    """
    net = resolve("model", architecture)(channels, size, embedding)
    if pretrained:
        # By name, so that the code digest of other networks' trainings does not cover these weights.
        resolve("weights", architecture)().fill(net, channels, size, normalise=normalise)
    return net


def restore(
    architecture: str,
    channels: int,
    size: int,
    state: Mapping[str, object],
    file: str | Path | None = None,
    key: str | None = None,
):
    """The network that ``state`` (its ``state_dict()``) was taken from; reads no ImageNet weights.

    Args:
        architecture, channels, size: as they were given to ``build``.
        state: whether the network began with ImageNet weights, and its embedding, are read from it.
        file, key: where ``state`` comes from, for the error.

    Raises:
        GauntletError: these are not weights of such a network, or not all of them.
    """
    from gauntlet.models import normalised

    try:
        net = build(architecture, channels, size, embedding=len(state["head.linear.bias"]))
        if "features.mean" in state:
            net.features = normalised.blank(net.features, channels)
        if missing := net.state_dict().keys() - state.keys():
            raise KeyError(min(missing))
        net.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        lack = f": {error.args[0]} is missing" if isinstance(error, KeyError) else ""
        raise GauntletError(
            f"these are not weights of {architecture!r}{lack}",
            file=file,
            key=key,
            remedy="train the model again",
        ) from error
    return net
