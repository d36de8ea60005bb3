"""Differentially private local training (Abadi et al. 2016, arXiv 1607.00133, Algorithm 1)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.updates.base import Setting, Tensors, UpdateDefense, noisy
from gauntlet.defenses.updates.privacy import Budget, refuse_statistics


@register("update_defense", "dp_sgd")
class DpSgd(UpdateDefense):
    """Every local step descends ``(sum_i g_i min(1, C / ||g_i||) + N(0, (sigma C)^2)) / B`` over a Poisson
    sample: each of the client's n images is in it with probability ``B / n``, independently.

    Protects each image of a client from everyone who sees its updates, the server included. One sigma serves
    all clients; with ``epsilon`` it is the least that keeps every client within the budget if it takes part
    in every round. What is reported is the largest epsilon spent by a client so far. Momentum, weight decay
    and the proximal term come afterwards and cost nothing. Numbers of images, and what a selection method
    asks clients for (losses, accuracies, histograms), are not protected.

    Args:
        clip: C, L2 norm of an example's gradient.
        epsilon: the budget per image; or
        noise_multiplier: sigma.
        delta: below one over the images of the largest client.
        accountant: of ``privacy.ACCOUNTANTS``.
    """

    per_example = True

    def __init__(
        self,
        clip: float = 1.0,
        epsilon: float | None = None,
        noise_multiplier: float | None = None,
        delta: float = 1e-5,
        accountant: Literal["rdp", "prv"] = "rdp",
    ):
        self.budget = Budget(epsilon, noise_multiplier, clip, delta, accountant)
        self.clip, self.delta = clip, delta

    def begin(self, setting: Setting) -> None:
        super().begin(setting)
        refuse_statistics(setting, "dp_sgd")
        #: Per client with images: the sampling rate, and steps per round.
        self.uses = [self._use(int(n)) for n in setting.samples]
        uses = {(rate, steps * setting.rounds) for rate, steps in self.uses if steps}
        largest = int(setting.samples.max())
        self.sigma = self.budget.sigma(uses, largest, "train.rounds, train.epochs or train.batch")

    def _use(self, n: int) -> tuple[float, int]:
        batch = self.setting.batch
        return (min(1.0, batch / n), self.setting.epochs * -(-n // batch)) if n else (1.0, 0)

    def batches(self, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        rate, steps = self._use(len(rows))
        inside = torch.rand(steps, len(rows), generator=generator) < rate
        return [rows[mask] for mask in inside]

    def gradient(self, gradients: Tensors, expected: int, generator: torch.Generator) -> Tensors:
        squares = sum(value.flatten(1).square().sum(1) for value in gradients.values())
        scale = (self.clip / squares.sqrt().clamp(min=1e-12)).clamp(max=1.0)
        total = {
            name: (scale.to(value) @ value.flatten(1)).view(value.shape[1:])
            for name, value in gradients.items()
        }
        total = noisy(total, self.sigma * self.clip, generator)
        return {name: value / expected for name, value in total.items()}

    def epsilon(self, rounds: int, participations: np.ndarray) -> float:
        uses = {
            (rate, steps * int(times)) for (rate, steps), times in zip(self.uses, participations, strict=True)
        }
        return max(self.budget.spent(self.sigma, rate, steps) for rate, steps in uses)
