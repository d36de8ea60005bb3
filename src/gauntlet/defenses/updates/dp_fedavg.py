"""User-level differential privacy (McMahan et al. 2018, arXiv 1710.06963, Algorithm 1, flat clipping)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.defenses.updates.base import Client, Setting, Tensors, UpdateDefense, clipped, noisy
from gauntlet.defenses.updates.privacy import Budget, refuse_statistics


@register("update_defense", "dp_fedavg")
class DpFedAvg(UpdateDefense):
    """``w_{t+1} = w_t + (sum_k u_k min(1, C / ||u_k||) + N(0, (sigma C)^2)) / K``, the clients weighing the
    same, whoever takes part divided by the expected number K.

    Protects the whole data of a client from everyone who sees the global models. The server sees the clipped
    updates themselves, unless ``secure_aggregation`` is in the chain too. Each client takes part with
    probability K / N, independently (Poisson sampling): that is what the accountant counts, and K is then the
    mean number of clients. The random numbers are those by which ``random`` picks the K largest.

    Args:
        clip: C, L2 norm of a client's update.
        epsilon: the budget per client; or
        noise_multiplier: sigma.
        delta: below one over the number of clients.
        accountant: of ``privacy.ACCOUNTANTS``.
    """

    last = True

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
        refuse_statistics(setting, "dp_fedavg")
        if not setting.uniform:
            raise GauntletError(
                "dp_fedavg guarantees nothing where a client's data decide who takes part",
                key="method.selection",
                remedy="set it to random",
            )
        if np.ptp(setting.weights(np.array([1, 3]))):
            raise GauntletError(
                "dp_fedavg bounds what a client changes only where all clients weigh the same",
                key="method.aggregation",
                remedy="set it to uniform",
            )
        uses = {(setting.rate, setting.rounds)}
        self.sigma = self.budget.sigma(uses, len(setting.samples), "train.rounds or train.selected")

    def participants(self, picked: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        return np.flatnonzero(uniforms > 1 - self.setting.rate)

    def update(self, update: Tensors, client: Client) -> Tensors:
        return clipped(update, self.clip)

    def total(self, total: Tensors, clients: int, generator: torch.Generator) -> Tensors:
        selected = self.setting.selected
        mean = {name: value * (clients / selected) for name, value in total.items()}
        return noisy(mean, self.sigma * self.clip / selected, generator)

    def epsilon(self, rounds: int, participations: np.ndarray) -> float:
        return self.budget.spent(self.sigma, self.setting.rate, rounds)
