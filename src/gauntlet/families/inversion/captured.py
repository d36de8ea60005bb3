"""A federation that keeps what its server sees, and that file read again.

Tensors of a seed, beside the final model under ``model.``: ``round{r}.before.{name}`` is what the server
sent in round r; ``round{r}.target{t}.update.{name}`` what it saw of target t, the model after less the model
before; ``target{t}.rows`` the images behind it, in the order of their first epoch (rows of the federation's
training images). A target is a client, or all clients where the server sees their sum alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gauntlet.families.federated.defended import Seen
from gauntlet.families.federated.simulation import Simulation
from gauntlet.inversion.observation import Observation


class Capturing(Simulation):
    """A simulation whose server keeps the updates of the rounds ``train.observe``."""

    def __init__(self, what, seed: int, dataset, device: torch.device):
        self.seen: dict[str, Tensor] = {}
        super().__init__(what, seed, dataset, device, capture=self._keep)

    def _keep(self, seen: Seen) -> None:
        if seen.round not in self.train.observe:
            return
        place = f"round{seen.round}"
        target = f"target{seen.clients[0] if len(seen.clients) == 1 else 0}"
        for name, value in seen.before.items():
            self.seen[f"{place}.before.{name}"] = value.cpu()
        for name, value in seen.update.items():
            self.seen[f"{place}.{target}.update.{name}"] = value.cpu()
        self.seen[f"{place}.{target}.rows"] = torch.cat([task.orders[0] for task in seen.tasks]).cpu()

    def weights(self) -> dict[str, Tensor]:
        """The final model, and what was kept."""
        return {**{f"model.{name}": value for name, value in self.model.items()}, **self.seen}

    def state(self) -> dict[str, Any]:
        return {**super().state(), "seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.seen = state["seen"]


class Captured:
    """What a server kept of one seed.

    Args:
        tensors: as ``Capturing.weights`` gives them.
        rounds: the observed rounds.
    """

    def __init__(self, tensors: dict[str, Tensor], rounds: list[int]):
        self.tensors, self.rounds = tensors, rounds

    def _below(self, prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): value
            for name, value in self.tensors.items()
            if name.startswith(prefix)
        }

    @property
    def targets(self) -> list[int]:
        """Ascending: those that were seen in every observed round."""
        seen = [
            {int(name.split(".")[1].removeprefix("target")) for name in self._rows(round)}
            for round in self.rounds
        ]
        return sorted(set.intersection(*seen))

    def _rows(self, round: int) -> list[str]:
        return [name for name in self.tensors if name.startswith(f"round{round}.") and name.endswith(".rows")]

    def rows(self, target: int) -> Tensor:
        """(n,) rows of the target's images, in the order that it first trained on them."""
        return self.tensors[f"round{self.rounds[0]}.target{target}.rows"]

    def model(self) -> dict[str, Tensor]:
        """The final global model."""
        return self._below("model.")

    def observation(
        self, target: int, round: int, names: list[str], *, images: int, batch: int, epochs: int, lr: float,
        labels: Tensor | None,
    ) -> Observation:  # fmt: skip
        """What an attack is given of a target in a round; ``names`` are those of the parameters."""
        update = self._below(f"round{round}.target{target}.update.")
        return Observation(
            weights=self._below(f"round{round}.before."),
            update={name: -update[name] for name in names if name in update},
            images=images,
            batch=batch,
            epochs=epochs,
            lr=lr,
            labels=labels,
        )
