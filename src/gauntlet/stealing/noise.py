"""Stealing with noise for queries."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.models.optimizers import RmsProp
from gauntlet.stealing.base import Setting, Stealing


@register("stealing", "noise")
class NoiseQueries(Stealing):
    """The substitute learns the target's labels of noise; each step asks about fresh images.

    ``uniform``: pixels from U(0, 1). ``ising``: black and white images of the Ising model, smoothed by sweeps
    of Gibbs sampling from random ones, at an inverse temperature near its phase transition.

    Args:
        kind: of the noise.
        pool: images per step.
        epochs: over the images of a step.
        batch: images per update.
        lr: RMSprop's rate.
        sweeps: Gibbs sweeps over an ``ising`` image.
        inverse_temperature: of the ``ising`` model.
    """

    kept = ("optimizer",)

    def __init__(
        self,
        kind: Literal["uniform", "ising"] = "uniform",
        pool: int = 2000,
        epochs: int = 5,
        batch: int = 64,
        lr: float = 1e-3,
        sweeps: int = 20,
        inverse_temperature: float = 0.44,
    ):
        self.kind, self.pool, self.epochs, self.batch, self.lr = kind, pool, epochs, batch, lr
        self.sweeps, self.inverse_temperature = sweeps, inverse_temperature

    def begin(self, setting: Setting) -> None:
        super().begin(setting)
        self.s = setting.substitute.train()
        self.optimizer = RmsProp([(list(self.s.parameters()), self.lr)])

    def step(self) -> None:
        images = self.images(self.pool).to(self.setting.device)
        labels = self.setting.oracle(images)
        for _ in range(self.epochs):
            for rows in self.order(len(images), self.batch):
                loss = F.cross_entropy(self.s(images[rows]), labels[rows])
                self.optimizer.descend(loss)
                self.watch("substitute", loss)

    def samples(self, count: int) -> Tensor:
        return self.images(count)

    def images(self, count: int) -> Tensor:
        """(count, C, H, W) in [0, 1], on the CPU."""
        uniform = torch.rand(count, *self.setting.oracle.shape, generator=self.draws)
        return uniform if self.kind == "uniform" else self._ising(uniform)

    def _ising(self, uniform: Tensor) -> Tensor:
        """Checkerboard Gibbs sweeps over spins of +-1, with periodic edges."""
        spins = (uniform > 0.5).float() * 2 - 1
        height, width = spins.shape[2:]
        black = (torch.arange(height)[:, None] + torch.arange(width)) % 2 == 0
        for _ in range(self.sweeps):
            for colour in (black, ~black):
                field = sum(spins.roll(by, dim) for by in (-1, 1) for dim in (2, 3))
                up = torch.sigmoid(2 * self.inverse_temperature * field)
                drawn = (torch.rand(spins.shape, generator=self.draws) < up).float() * 2 - 1
                spins = torch.where(colour, drawn, spins)
        return (spins + 1) / 2
