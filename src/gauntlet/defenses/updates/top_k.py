"""Sparse updates (Lin et al. 2018, arXiv 1712.01887; as a defense Zhu et al. 2019, section 5.2)."""

from __future__ import annotations

import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.defenses.updates.base import Client, Tensors, UpdateDefense

#: Bytes of a value and of its position.
ENTRY = 4 + 4


@register("update_defense", "top_k")
class TopK(UpdateDefense):
    """Sends the entries of largest magnitude among all parameters together; the others are 0, and are not
    kept for later rounds.

    Args:
        share: of the entries that are kept, in (0, 1]; at least one is.
    """

    def __init__(self, share: float = 0.1):
        if not 0 < share <= 1:
            raise GauntletError(f"share must be in (0, 1] (got {share})", key="method.defenses")
        self.share = share

    def update(self, update: Tensors, client: Client) -> Tensors:
        flat = torch.cat([value.flatten() for value in update.values()])
        kept = flat.abs().topk(self._kept(len(flat))).indices
        sparse = torch.zeros_like(flat).scatter(0, kept, flat[kept])
        parts = sparse.split([value.numel() for value in update.values()])
        return {name: part.view_as(value) for (name, value), part in zip(update.items(), parts, strict=True)}

    def up_bytes(self, parameters: int, sent: int) -> int:
        return min(sent, ENTRY * self._kept(parameters))

    def _kept(self, entries: int) -> int:
        return max(1, round(self.share * entries))
