"""Dataset condensation by distribution matching (Zhao and Bilen 2023, arXiv 2110.04181)."""

from __future__ import annotations

from copy import deepcopy
from typing import Literal

import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.distillation.base import Distillation, Setting
from gauntlet.models.copies import state_of

#: Real images per forward pass; larger batches leave the processor's cache.
BATCH = 500


@register("distillation", "distribution_matching")
class DistributionMatching(Distillation):
    """``min over S of sum over classes c of ||mean psi(S_c) - mean psi(real batch of c)||^2`` (equation 6),
    with psi everything before the last layer of a network.

    No inner training, hence cheap; what the others share plays no part. Labels stay one-hot, and no step
    sizes are learned.

    Args:
        per_class, iterations, batch, lr, start, pixels: see ``Distillation``; ``batch`` images of each class.
        nets: psi is newly initialised for every update (``random``, as published), or of the round's model
            (``current``).

    Raises:
        GauntletError: a network whose last layer is not linear.
    """

    def __init__(
        self,
        per_class: int = 10,
        iterations: int = 200,
        batch: int = 64,
        lr: float = 0.05,
        start: Literal["noise", "real"] = "noise",
        pixels: Literal["clipped", "free"] = "clipped",
        nets: Literal["random", "current"] = "random",
    ):
        super().__init__(per_class, iterations, batch, lr, start, pixels)
        self.nets = nets

    def begin(self, setting: Setting) -> None:
        super().begin(setting)
        if not isinstance(setting.net, nn.Sequential) or not isinstance(setting.net[-1], nn.Linear):
            raise GauntletError(
                "embeddings are what enters a linear last layer, and this network has none",
                key="architecture",
                remedy="choose another one",
            )
        # One network embeds the images of all clients, so there is no need for copies.
        net = deepcopy(setting.net).requires_grad_(False)
        self.live_weights, self.body = state_of(net), nn.Sequential(*list(net)[:-1])

    def objective(self, generator):
        for name, value in self.origin().items():
            self.live_weights[name].copy_(value)
        pixels, ours = self.setting.images.pixels, self.live["images"].flatten(0, 1)
        rows, weights = (value.to(self.device) for value in self.owned_by_class.draw(self.batch, generator))
        self.seen += rows.numel() + len(ours)
        with torch.no_grad():
            real = torch.cat([self.body(pixels[part]) for part in rows.flatten().split(BATCH)])
            count = weights.sum(1, keepdim=True)
            real = (real.view(*rows.shape, -1) * weights[:, :, None]).sum(1) / count.clamp(min=1)
        means = self.body(ours).view(len(rows), self.per_class, -1).mean(1)
        squares = (means - real).square().sum(1) * (count[:, 0] > 0)
        return squares.view(self.clients, -1).sum(1)
