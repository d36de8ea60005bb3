"""Updates to invert, for all sides: clients of a small network, with the same numbers in every process."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 10


@dataclass(frozen=True)
class Leak:
    """Clients that trained once.

    Attributes:
        size, channels: of the images.
        images: per client.
        batch, epochs: of local training; as many images and one epoch make one gradient.
        targets: how many clients.
    """

    size: int
    channels: int
    images: int
    batch: int
    epochs: int
    targets: int
    lr: float = 0.01

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.size, self.size

    @property
    def steps(self) -> int:
        return self.epochs * -(-self.images // self.batch)

    def net(self, seed: int) -> nn.Module:
        """Three convolutions and a linear layer, untrained, in eval mode."""
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(self.channels, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (self.size // 4) ** 2, CLASSES),
        ).eval()

    def client(self, target: int) -> tuple[Tensor, Tensor]:
        """Smooth random images in [0, 1] and their labels."""
        generator = torch.Generator().manual_seed(target)
        coarse = torch.rand(self.images, self.channels, 5, 5, generator=generator)
        images = F.interpolate(coarse, self.size, mode="bilinear", align_corners=True)
        return images, torch.randint(0, CLASSES, (self.images,), generator=generator)

    def update(self, target: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weights before, and before minus after."""
        net, (x, y) = self.net(target), self.client(target)
        before = {name: value.detach().clone() for name, value in net.named_parameters()}
        for _ in range(self.epochs):
            for rows in torch.arange(self.images).split(self.batch):
                slopes = torch.autograd.grad(F.cross_entropy(net(x[rows]), y[rows]), list(net.parameters()))
                with torch.no_grad():
                    for value, slope in zip(net.parameters(), slopes, strict=True):
                        value -= self.lr * slope
        return before, {name: before[name] - value.detach() for name, value in net.named_parameters()}

    def psnr(self, found: list[Tensor]) -> float:
        """Mean over the first clients of the PSNR of their images, in their order, peak 1."""
        errors = [(images - self.client(i)[0]).square().mean() for i, images in enumerate(found)]
        return float(torch.stack([-10 * error.log10() for error in errors]).mean())
