"""Updates of bounded length (McMahan et al. 2018, arXiv 1710.06963, section 2.2, flat clipping)."""

from __future__ import annotations

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.defenses.updates.base import Client, Tensors, UpdateDefense, clipped


@register("update_defense", "clip")
class Clip(UpdateDefense):
    """Sends ``u * min(1, norm / ||u||)``, with the L2 norm of all parameters together.

    Args:
        norm: the largest length.
    """

    def __init__(self, norm: float):
        if norm <= 0:
            raise GauntletError(f"norm must be positive (got {norm})", key="method.defenses")
        self.norm = norm

    def update(self, update: Tensors, client: Client) -> Tensors:
        return clipped(update, self.norm)
