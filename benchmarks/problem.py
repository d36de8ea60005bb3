"""One attack problem for all sides: a network, images, and class centres that serve as logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gauntlet.models import build

SCALE = 32.0


class CentreLogits(nn.Module):
    """A classifier made of an embedding network: logits are scaled cosines to fixed class centres."""

    def __init__(self, net: nn.Module, centres: Tensor):
        super().__init__()
        self.net = net
        self.register_buffer("centres", centres)

    def forward(self, images: Tensor) -> Tensor:
        """(b, C, H, W) -> (b, K)."""
        return SCALE * self.net(images) @ self.centres.T


class Problem:
    """The same numbers in every process that makes it: weights, (b, 1, 28, 28) images, labels."""

    eps, step, classes = 8 / 255, 2 / 255, 10
    rate = 0.01  # of Adam, in the attack of Carlini and Wagner

    def __init__(self, architecture: str, batch: int, device: str):
        torch.manual_seed(0)
        self.net = build(architecture, 1, 28, 64).to(device).eval()
        self.images = torch.rand(batch, 1, 28, 28).to(device)
        self.labels = (torch.arange(batch) % self.classes).to(device)
        with torch.no_grad():
            embeddings = self.net(self.images)
        sums = torch.zeros(self.classes, embeddings.shape[1], device=device)
        self.centres = F.normalize(sums.index_add(0, self.labels, embeddings))

    def wrapper(self) -> CentreLogits:
        return CentreLogits(self.net, self.centres).eval()

    def reached(self, adversarial: Tensor) -> str:
        """How strong an attack was: the cross-entropy, the share taken for another class, and the mean L2
        distance."""
        with torch.no_grad():
            logits = self.wrapper()(adversarial)
            loss = float(F.cross_entropy(logits, self.labels))
            fooled = float((logits.argmax(1) != self.labels).float().mean())
            distance = float((adversarial - self.images).flatten(1).norm(dim=1).mean())
        return f"loss {loss:.3f}, fooled {fooled:.2f}, distance {distance:.2f}"


def synchronize(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize()
