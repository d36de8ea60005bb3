"""Classifiers as functions of images: evaluated, and loaded from a trained cell."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.families import weights
from gauntlet.models import normalised
from gauntlet.models.classifiers import build

#: Images per forward pass; bounds memory, changes no result beyond rounding.
BATCH = 500


def logits(net: nn.Module, images: Tensor) -> Tensor:
    """(n, K) without gradients, a batch at a time."""
    with torch.inference_mode():
        return torch.cat([net(part) for part in images.split(BATCH)])


def load(
    path: str | Path,
    seed: int,
    architecture: str,
    channels: int,
    size: int,
    classes: int,
    device: torch.device | str = "cpu",
) -> tuple[nn.Module, float]:
    """The trained network of one seed, in eval mode, with frozen weights, and its temperature.

    Args:
        path: ``model.safetensors`` of a trained cell.
        architecture: a file in ``gauntlet/models/classifiers/``.
        channels, size: of the images.

    Raises:
        GauntletError: the file is absent, damaged, or holds another network.
    """
    tensors = weights.read(path, seed)
    temperature = float(tensors.pop("temperature", torch.ones(())))
    net = build(architecture, channels, size, classes)
    if "mean" in tensors:
        net = normalised.blank(net, channels)
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise GauntletError(
            f"these are not weights of {architecture!r} for {classes} classes of {size}x{size} images",
            file=path,
            remedy="train the model again",
        ) from error
    return net.to(device, memory_format=torch.channels_last).eval().requires_grad_(False), temperature
