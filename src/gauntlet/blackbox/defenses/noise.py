"""Noisy probabilities."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gauntlet.blackbox.defenses.base import OracleDefense
from gauntlet.core.registry import register


@register("oracle_defense", "noise")
class Noise(OracleDefense):
    """Answers ``max(p + N(0, scale^2), 0)``, normalised; uniform where nothing is left.

    The same query gets another answer every time, so that asking again averages the noise away.

    Args:
        scale: standard deviation, in probability.
        seed: of the noise.
    """

    def __init__(self, scale: float = 0.1, seed: int = 0):
        self.scale = scale
        self.generator = torch.Generator().manual_seed(seed)

    def answer(self, images: Tensor, probabilities: Tensor) -> Tensor:
        draws = torch.randn(probabilities.shape, generator=self.generator).to(probabilities)
        noisy = (probabilities + self.scale * draws).clamp(min=0)
        total = noisy.sum(1, keepdim=True)
        even = torch.full_like(noisy, 1 / noisy.shape[1])
        return torch.where(total > 0, noisy / total.clamp(min=1e-12), even)

    def state(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"])
