"""Noisy updates (Zhu et al. 2019, arXiv 1906.08935, section 5.1)."""

from __future__ import annotations

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.defenses.updates.base import Client, Tensors, UpdateDefense, noisy


@register("update_defense", "noise")
class Noise(UpdateDefense):
    """Sends ``u + N(0, std^2)``. The noise is not matched to a sensitivity: no privacy is stated.

    Args:
        std: standard deviation per entry of the update.
    """

    def __init__(self, std: float):
        if std < 0:
            raise GauntletError(f"std must not be negative (got {std})", key="method.defenses")
        self.std = std

    def update(self, update: Tensors, client: Client) -> Tensors:
        return noisy(update, self.std, client.generator)
