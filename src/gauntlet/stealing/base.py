"""What a stealing method is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gauntlet.blackbox.oracle import Oracle
from gauntlet.core.errors import GauntletError
from gauntlet.core.seeds import torch_generator


class Finished(Exception):
    """A method has nothing more to ask, whatever the budget has left."""


@dataclass(frozen=True)
class Setting:
    """What a thief has.

    Attributes:
        oracle: the target, through its answers alone.
        substitute: the network that should become like it, on ``device``.
        generator: () -> a fresh generator of images of the target's size, on ``device``.
        latent: length of its noise vectors.
        seed: of the trial.
        natural: (n, C, H, W) images of another dataset in the target's form, or None.
    """

    oracle: Oracle
    substitute: nn.Module
    generator: Callable[[], nn.Module]
    latent: int
    seed: int
    device: torch.device
    natural: Tensor | None = None


class Stealing:
    """Base of all stealing methods.

    Options are annotated keyword parameters of ``__init__``; they become the keys of a study's ``options``.
    All draws come from ``draws``, the stream ``stealing`` of the seed.
    """

    #: Attributes that later steps depend on: modules, optimizers, tensors, numbers, lists of these.
    kept: tuple[str, ...] = ()
    #: What an answer has to hold; None for anything.
    access: tuple[str, ...] | None = None

    setting: Setting
    draws: torch.Generator

    def begin(self, setting: Setting) -> None:
        """Called once per run, before the first step. Overrides call it first.

        Raises:
            GauntletError: the target's answers do not hold what the method needs.
        """
        if self.access is not None and setting.oracle.access not in self.access:
            raise GauntletError(
                f"the method needs answers with {' or '.join(self.access)}, not {setting.oracle.access}",
                key="methods.access",
                remedy=f"set access: {self.access[0]}",
            )
        self.setting = setting
        self.draws = torch_generator(setting.seed, "stealing")
        self._sums: dict[str, list[float]] = {}

    def step(self) -> None:
        """A stretch of work of seconds: some queries, some updates.

        Raises:
            BudgetExhausted: the oracle did; what was learned stays.
            Finished: there is nothing more to ask.
        """
        raise NotImplementedError

    @property
    def settled(self) -> bool:
        """Whether the substitute has learned what was asked: measurements wait for it."""
        return True

    def losses(self) -> dict[str, float]:
        """Means of what was watched since the last call: ``substitute``, ``generator``."""
        means = {name: total / count for name, (total, count) in self._sums.items()}
        self._sums = {}
        return means

    def state(self) -> dict[str, Any]:
        """Everything that later steps depend on, but for the oracle and the substitute's weights."""
        found = {name: _saved(getattr(self, name)) for name in self.kept}
        return {**found, "draws": self.draws.get_state(), "sums": self._sums}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self.draws.set_state(state["draws"])
        self._sums = state["sums"]
        for name in self.kept:
            own, saved = getattr(self, name), state[name]
            if hasattr(own, "load_state_dict"):
                own.load_state_dict(saved)
            else:
                setattr(self, name, saved.to(self.setting.device) if isinstance(saved, Tensor) else saved)

    def formula(self) -> int | None:
        """The queries that the paper's formula counts for the work so far; None where it has none."""
        return None

    def samples(self, count: int) -> Tensor | None:
        """(count, C, H, W) images as the method would ask about now; None where it has none left."""
        return None

    # What methods build on.

    def watch(self, name: str, loss: Tensor) -> None:
        """Add a loss to the means of ``losses``."""
        total, count = self._sums.get(name, (0.0, 0))
        self._sums[name] = [total + float(loss.detach()), count + 1]

    def noise(self, count: int) -> Tensor:
        """(count, latent) from N(0, I), drawn on the CPU, so that devices agree."""
        return torch.randn(count, self.setting.latent, generator=self.draws).to(self.setting.device)

    def order(self, count: int, batch: int) -> list[Tensor]:
        """Row indices 0..count-1 in random order, in batches."""
        return list(torch.randperm(count, generator=self.draws).to(self.setting.device).split(batch))


def _saved(value: Any) -> Any:
    return value.state_dict() if hasattr(value, "state_dict") else value
