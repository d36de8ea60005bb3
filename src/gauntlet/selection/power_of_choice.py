"""Selection of the candidates with the highest loss."""

from __future__ import annotations

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.selection.base import Federation, Probe, Selection, sample


@register("selection", "power_of_choice")
class PowerOfChoice(Selection):
    """Cho, Wang & Joshi (2020), pow-d: draw ``candidates`` clients with probability proportional to their
    number of images, take the K on whose images the global model's loss is highest.

    Args:
        candidates: d, at least K; 2K when absent.
        images: how many images of a candidate the loss is estimated on (their cpow-d); all when absent.

    Raises:
        GauntletError: fewer candidates than clients per round, or no images.
    """

    def __init__(self, candidates: int | None = None, images: int | None = None):
        if images is not None and images < 1:
            raise GauntletError(f"images must be at least 1 (got {images})", key="method.options.images")
        self.candidates, self.images = candidates, images

    def begin(self, federation: Federation) -> None:
        super().begin(federation)
        wanted = 2 * federation.selected if self.candidates is None else self.candidates
        self.count = min(wanted, federation.clients)
        if self.count < federation.selected:
            raise GauntletError(
                f"{self.count} candidates for {federation.selected} places",
                key="method.options.candidates",
                remedy="choose at least as many as clients per round",
            )

    def select(self, round: int, uniforms: np.ndarray, probe: Probe) -> np.ndarray:
        candidates = sample(self.federation.samples, self.count, uniforms[0])
        losses = probe(candidates, self.images)
        return np.sort(candidates[np.argsort(-losses, kind="stable")[: self.federation.selected]])
