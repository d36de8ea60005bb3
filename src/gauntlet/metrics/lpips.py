"""LPIPS, a perceptual distance (Zhang et al. 2018, arXiv 1801.03924), where its weights are at hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256_file
from gauntlet.metrics.images import pairs
from gauntlet.models.weights.base import FOLDER
from gauntlet.models.weights.fetch import read_state

#: File -> how its SHA-256 begins: torchvision's AlexNet, and LPIPS' own weights on its layers (version 0.1).
FILES = {
    "alexnet-owt-7be5be79.pth": "7be5be79",
    "alex.pth": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
}
#: Who publishes them.
SOURCES = {
    "alexnet-owt-7be5be79.pth": "torchvision's AlexNet, from download.pytorch.org/models",
    "alex.pth": "folder lpips/weights/v0.1 of the Python package lpips",
}
#: Of AlexNet: index in torchvision's ``features``, stride, padding; MaxPool(3, stride 2) before the second
#: and the third. What each gives, after ReLU, is compared.
CONVOLUTIONS = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}
POOLED = (3, 6)
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
SMALLEST = 31  # pixels; below, nothing is left before the third convolution


def lpips(originals, reconstructions, folder: Path = FOLDER) -> Tensor:
    """(n,) distances, 0 for equal images, of (n, 1 or 3, H, W) in [0, 1]; grey images are compared as RGB.

    Raises:
        GauntletError: a file is not there or damaged, or images are no pairs, or of less than 31 pixels.
    """
    one, other = pairs(originals, reconstructions)
    require(min(one.shape[2:]), folder)
    backbone, linear = _weights(folder)
    return distance(one, other, backbone, linear)


def require(side: int, folder: Path = FOLDER) -> None:
    """Raises GauntletError where ``FILES`` are not in ``folder``, or ``side`` is too small."""
    if side < SMALLEST:
        raise GauntletError(
            f"LPIPS needs images of at least {SMALLEST} pixels, not {side}",
            key="evaluate.lpips",
            remedy="leave lpips out for this dataset",
        )
    for name in FILES:
        if not (folder / name).is_file():
            raise GauntletError(
                "no such file: LPIPS needs its weights",
                file=folder / name,
                remedy=f"put it there ({SOURCES[name]}), or leave evaluate.lpips out",
            )


@cache
def _weights(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    states = []
    for name, digest in FILES.items():
        path = folder / name
        if not sha256_file(path).startswith(digest):
            raise GauntletError("damaged weights", file=path, remedy="get it again from its publisher")
        states.append(read_state(path))
    return states[0], states[1]


@torch.no_grad()
def distance(
    originals: Tensor, reconstructions: Tensor, backbone: dict[str, Tensor], linear: dict[str, Tensor]
) -> Tensor:
    """``sum_l mean_{h,w} w_l . (y_l / ||y_l|| - z_l / ||z_l||)^2`` (equation 1), norms over channels.

    Args:
        backbone: AlexNet's state by torchvision's names.
        linear: w_l as ``lin<l>.model.1.weight`` (1, channels, 1, 1).
    """
    total = torch.zeros(len(originals), dtype=torch.float64)
    layers = zip(_features(originals, backbone), _features(reconstructions, backbone), strict=True)
    for layer, (one, other) in enumerate(layers):
        weight = linear[f"lin{layer}.model.1.weight"].double()
        total += F.conv2d((one - other).square(), weight).mean((1, 2, 3))
    return total


def _features(pixels: Tensor, backbone: dict[str, Tensor]):
    """Unit vectors over channels, of every convolution."""
    shift, scale = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (SHIFT, SCALE))
    x = (2 * pixels.expand(-1, 3, -1, -1) - 1 - shift) / scale
    for index, (stride, padding) in CONVOLUTIONS.items():
        x = F.max_pool2d(x, 3, 2) if index in POOLED else x
        weight, bias = (backbone[f"features.{index}.{part}"].double() for part in ("weight", "bias"))
        x = F.relu(F.conv2d(x, weight, bias, stride, padding))
        yield x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)
