"""What a stealing method is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gauntlet.blackbox.oracle import Oracle
from gauntlet.core.seeds import torch_generator


@dataclass(frozen=True)
class Setting:
    """What a thief has.

    Attributes:
        oracle: the target, through its answers alone.
        substitute: the network that should become like it, on ``device``.
        generator: () -> a fresh generator of images of the target's size, on ``device``.
        latent: length of its noise vectors.
        seed: of the trial.
    """

    oracle: Oracle
    substitute: nn.Module
    generator: Callable[[], nn.Module]
    latent: int
    seed: int
    device: torch.device


class Stealing:
    """Base of all stealing methods.

    Options are annotated keyword parameters of ``__init__``; they become the keys of a study's ``options``.
    All draws come from ``draws``, the stream ``stealing`` of the seed.
    """

    setting: Setting
    draws: torch.Generator

    def begin(self, setting: Setting) -> None:
        """Called once per run, before the first step. Overrides call it first."""
        self.setting = setting
        self.draws = torch_generator(setting.seed, "stealing")

    def step(self) -> None:
        """A stretch of work of seconds: some queries, some updates.

        Raises:
            BudgetExhausted: the oracle did; what was learned stays.
        """
        raise NotImplementedError

    def losses(self) -> dict[str, float]:
        """Means since the last call, to watch the training by."""
        return {}

    def state(self) -> dict[str, Any]:
        """Everything that later steps depend on, but for the oracle and the substitute's weights."""
        return {"draws": self.draws.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self.draws.set_state(state["draws"])

    # What methods build on.

    def noise(self, count: int) -> Tensor:
        """(count, latent) from N(0, I), drawn on the CPU, so that devices agree."""
        return torch.randn(count, self.setting.latent, generator=self.draws).to(self.setting.device)

    def order(self, count: int, batch: int) -> list[Tensor]:
        """Row indices 0..count-1 in random order, in batches."""
        return list(torch.randperm(count, generator=self.draws).to(self.setting.device).split(batch))
