"""One problem of model stealing for all sides: a target, a substitute and a generator of equal weights."""

from __future__ import annotations

import torch

from gauntlet.models import generators
from gauntlet.models.classifiers import build

LATENT = 256

#: case -> target, substitute, generator, channels, size
CASES = {
    "LeNet by LeNet, 28x28": ("lenet", "lenet", "deconv", 1, 28),
    "3-conv net by 4-conv net, 28x28": ("net3conv", "net4conv", "upsample", 1, 28),
    "ResNet-34 by ResNet-18, 32x32": ("resnet34", "resnet18", "upsample", 3, 32),
}


class Pair:
    """Fresh networks of a case, in channels-last memory; the same in every process that makes them."""

    small = tuple(CASES)[:2]  #: those that a processor is measured with

    def __init__(self, case: str, device: str):
        target, substitute, generator, channels, size = CASES[case]
        self.shape, self.device = (channels, size, size), device
        torch.manual_seed(0)
        made = (
            build(target, channels, size, 10).eval().requires_grad_(False),
            build(substitute, channels, size, 10).train(),
            generators.build(generator, channels, size, LATENT, "tanh").train(),
        )
        self.target, self.substitute, self.generator = (
            net.to(device, memory_format=torch.channels_last) for net in made
        )
