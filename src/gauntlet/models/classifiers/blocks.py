"""Layers that several classifiers are made of."""

from __future__ import annotations

from torch import nn


def conv(inputs: int, width: int, kernel: int) -> list[nn.Module]:
    """Convolution without change of size, MaxPool2, ReLU (the same function as ReLU first, at a quarter of
    its work)."""
    return [nn.Conv2d(inputs, width, kernel, padding=kernel // 2), nn.MaxPool2d(2), nn.ReLU()]
